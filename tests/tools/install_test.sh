#!/usr/bin/env bash
# install_test.sh BUILD_DIR: an installation has everything where a distribution would put it.
set -euo pipefail

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix cmake --install "$1" --prefix /usr > "$prefix/log" || { cat "$prefix/log"; exit 1; }

missing=0
for path in sbin/pando-{controller,agent,proxy} bin/ctl libexec/pando/{pando-shim,libpando-fixed-port.so} \
  lib/systemd/system/pando-{controller,agent,proxy}.service lib/sysusers.d/pando.conf \
  share/bash-completion/completions/ctl share/zsh/vendor-completions/_ctl \
  share/fish/vendor_completions.d/ctl.fish share/doc/pando/{README.md,LICENSE,CHANGELOG.md} \
  share/doc/pando/examples/hello.yaml; do
  [[ -s $prefix/usr/$path ]] || { echo "missing or empty: /usr/$path"; missing=1; }
done
for program in sbin/pando-{controller,agent,proxy} bin/ctl; do
  "$prefix/usr/$program" --version
done
for unit in "$prefix"/usr/lib/systemd/system/*.service; do
  grep -q '^ExecStart=/usr/sbin/pando-' "$unit" || { echo "$unit: wrong ExecStart"; missing=1; }
done
bash -n "$prefix/usr/share/bash-completion/completions/ctl"
exit "$missing"
