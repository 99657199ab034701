fuzz_target(http_signature auth)
