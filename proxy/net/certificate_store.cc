#include "proxy/net/certificate_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/digest.h"

namespace pando::proxy {
namespace {

absl::StatusOr<std::string> ReadPem(const std::string& field, const std::string& file) {
  absl::StatusOr<std::string> content = ReadFile(file);
  if (content.ok()) return content;
  return absl::Status(content.status().code(),
                      absl::StrCat(field, ": cannot ", content.status().message()));
}

// Only its digest is kept beside what OpenSSL made of it.
std::string Digest(const std::vector<TlsCertificatePem>& pems) {
  std::string all;
  for (const TlsCertificatePem& pem : pems)
    absl::StrAppend(&all, pem.chain, "\n\n", pem.key, "\n\n");
  return ContentVersion(all);
}

}  // namespace

absl::StatusOr<CertificateStore::Pems> CertificateStore::Read(const TlsSettings& settings) {
  Pems pems;
  for (size_t i = 0; i < settings.certificates.size(); ++i) {
    const std::string field = absl::StrCat("tls_certificates[", i, "]");
    TlsCertificatePem pem;
    PANDO_ASSIGN_OR_RETURN(pem.chain, ReadPem(absl::StrCat(field, ".certificate_chain"),
                                              settings.certificates[i].chain));
    PANDO_ASSIGN_OR_RETURN(
        pem.key, ReadPem(absl::StrCat(field, ".private_key"), settings.certificates[i].key));
    pems.push_back(std::move(pem));
  }
  return pems;
}

absl::StatusOr<std::shared_ptr<const TlsContext>> CertificateStore::Get(
    const TlsSettings& settings) {
  if (const auto found = entries_.find(settings); found != entries_.end()) {
    return found->second.context;
  }
  PANDO_ASSIGN_OR_RETURN(const Pems pems, Read(settings));
  Entry entry;
  PANDO_ASSIGN_OR_RETURN(entry.context, TlsContext::Create(settings, pems, keys_));
  entry.digest = Digest(pems);
  return entries_.emplace(settings, std::move(entry)).first->second.context;
}

void CertificateStore::Keep(const std::set<TlsSettings>& wanted) {
  std::erase_if(entries_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

CertificateStore::Reloaded CertificateStore::Reload() {
  Reloaded result;
  for (auto& [settings, entry] : entries_) {
    const absl::StatusOr<Pems> pems = Read(settings);
    std::string digest = pems.ok() ? Digest(*pems) : std::string(pems.status().message());
    if (digest == entry.digest) continue;
    entry.digest = std::move(digest);
    auto context = pems.ok() ? TlsContext::Create(settings, *pems, keys_) : pems.status();
    if (context.ok()) {
      entry.context = *std::move(context);
      entry.error.clear();
      ++result.changed;
    } else {
      entry.error = std::string(context.status().message());
      result.errors.push_back(entry.error);
    }
  }
  return result;
}

std::vector<CertificateStore::Status> CertificateStore::List() const {
  std::vector<Status> list;
  for (const auto& [settings, entry] : entries_) {
    for (const TlsCertificateInfo& info : entry.context->certificates()) {
      list.push_back({info, entry.error});
    }
  }
  return list;
}

}  // namespace pando::proxy
