#include "proxy/control/xds_decode_tls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "proxy/control/xds_field.h"

namespace pando::proxy {
namespace {

namespace core = ::envoy::config::core::v3;
namespace tls = ::envoy::extensions::transport_sockets::tls::v3;

absl::StatusOr<TlsVersion> ToVersion(const std::string& field,
                                     tls::TlsParameters::TlsProtocol version, TlsVersion unset) {
  switch (version) {
    case tls::TlsParameters::TLS_AUTO:
      return unset;
    case tls::TlsParameters::TLSv1_2:
      return TlsVersion::k12;
    case tls::TlsParameters::TLSv1_3:
      return TlsVersion::k13;
    default:
      break;
  }
  const std::string& name = tls::TlsParameters::TlsProtocol_Name(version);
  return Refuse(field, absl::StrCat(name.empty() ? absl::StrCat(static_cast<int>(version)) : name,
                                    " is not supported (use TLSv1_2 or TLSv1_3)"));
}

absl::Status ReadParameters(const std::string& field, const tls::TlsParameters& from,
                            TlsSettings& result) {
  PANDO_ASSIGN_OR_RETURN(result.min_version,
                         ToVersion(Sub(field, "tls_minimum_protocol_version"),
                                   from.tls_minimum_protocol_version(), TlsVersion::k12));
  PANDO_ASSIGN_OR_RETURN(result.max_version,
                         ToVersion(Sub(field, "tls_maximum_protocol_version"),
                                   from.tls_maximum_protocol_version(), TlsVersion::k13));
  if (result.max_version < result.min_version) {
    return Refuse(Sub(field, "tls_maximum_protocol_version"), "is below the minimum");
  }
  result.ciphers = absl::StrJoin(from.cipher_suites(), ":");
  return absl::OkStatus();
}

absl::StatusOr<std::string> ToFile(const std::string& field, const core::DataSource& from) {
  switch (from.specifier_case()) {
    case core::DataSource::kFilename:
      break;
    case core::DataSource::SPECIFIER_NOT_SET:
      return NotSet(field);
    default:
      return Refuse(field, "only filename is supported");
  }
  if (from.filename().empty() || from.filename()[0] != '/' ||
      from.filename().find('\0') != std::string::npos) {
    return Refuse(Sub(field, "filename"),
                  absl::StrCat("\"", from.filename(), "\" is not an absolute path"));
  }
  return from.filename();
}

absl::Status ReadAlpn(const std::string& field, const tls::CommonTlsContext& from,
                      TlsSettings& result) {
  for (int i = 0; i < from.alpn_protocols_size(); ++i) {
    const std::string& protocol = from.alpn_protocols(i);
    if (protocol != "http/1.1" && protocol != "http/1.0") {
      return Refuse(Indexed(Sub(field, "alpn_protocols"), i),
                    absl::StrCat("\"", protocol, "\" is not supported (use http/1.1)"));
    }
    result.alpn.push_back(protocol);
  }
  return absl::OkStatus();
}

absl::Status CheckUnsupported(const std::string& field, const tls::CommonTlsContext& from) {
  const std::pair<const char*, bool> fields[] = {
      {"validation_context", from.has_validation_context()},
      {"validation_context_sds_secret_config", from.has_validation_context_sds_secret_config()},
      {"tls_certificate_sds_secret_configs", from.tls_certificate_sds_secret_configs_size() > 0},
      {"tls_certificate_provider_instance", from.has_tls_certificate_provider_instance()}};
  for (const auto& [name, is_set] : fields) {
    if (is_set) return Unsupported(Sub(field, name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsSettings> ToTlsSettings(const std::string& field,
                                          const core::TransportSocket& from) {
  const std::string config = Sub(field, "typed_config");
  if (!from.has_typed_config()) return NotSet(config);
  tls::DownstreamTlsContext context;
  PANDO_RETURN_IF_ERROR(Unpack(config, from.typed_config(), context));
  if (context.require_client_certificate().value()) {
    return Unsupported(Sub(config, "require_client_certificate"));
  }
  const std::string common_field = Sub(config, "common_tls_context");
  const tls::CommonTlsContext& common = context.common_tls_context();
  PANDO_RETURN_IF_ERROR(CheckUnsupported(common_field, common));
  TlsSettings result;
  PANDO_RETURN_IF_ERROR(
      ReadParameters(Sub(common_field, "tls_params"), common.tls_params(), result));
  PANDO_RETURN_IF_ERROR(ReadAlpn(common_field, common, result));
  const std::string certificates = Sub(common_field, "tls_certificates");
  if (common.tls_certificates().empty()) return NotSet(certificates);
  for (int i = 0; i < common.tls_certificates_size(); ++i) {
    const tls::TlsCertificate& each = common.tls_certificates(i);
    TlsCertificateFiles files;
    PANDO_ASSIGN_OR_RETURN(files.chain, ToFile(Sub(Indexed(certificates, i), "certificate_chain"),
                                               each.certificate_chain()));
    PANDO_ASSIGN_OR_RETURN(
        files.key, ToFile(Sub(Indexed(certificates, i), "private_key"), each.private_key()));
    result.certificates.push_back(std::move(files));
  }
  return result;
}

}  // namespace pando::proxy
