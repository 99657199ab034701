fuzz_target(http_signature auth)
fuzz_target(publish_body edge_api)
fuzz_target(config edge_config)
fuzz_target(pusher_message edge_pusher)
