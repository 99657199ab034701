fuzz_target(http_signature auth)
fuzz_target(config edge_config)
