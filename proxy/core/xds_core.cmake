# The xDS client's pure part, included by CMakeLists.txt beside it.
pando_library(pando_proxy_xds_core
  SOURCES table_builder.cc xds_subscription.cc
  DEPS pando_proxy_core absl::function_ref)
pando_test(proxy_xds_core_test LABEL unit
  SOURCES table_builder_test.cc xds_subscription_test.cc
  DEPS pando_proxy_xds_core)
