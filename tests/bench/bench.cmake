# The load driver and the floor it is compared with; tests/bench/run and the tests of churn and ghosts use them.
add_executable(bench_driver bench/driver.c bench/client.c bench/wire.c bench/publisher.c bench/messages.c bench/histogram.c
    bench/command.c bench/job_connect.c bench/job_publish.c bench/job_churn.c bench/job_removals.c
    bench/job_knock.c bench/job_reside.c)
target_link_libraries(bench_driver PRIVATE auth PkgConfig::SSL PkgConfig::CRYPTO)

add_executable(bench_floor bench/floor.c bench/messages.c)
target_link_libraries(bench_floor PRIVATE auth)

add_executable(unit_bench bench/test_bench.c bench/histogram.c bench/command.c bench/messages.c)
target_link_libraries(unit_bench PRIVATE auth PkgConfig::CMOCKA)
add_test(NAME unit_bench COMMAND unit_bench)
set_tests_properties(unit_bench PROPERTIES TIMEOUT 120)

# What presence costs Redis (presence.md, "Costs to stay near").
add_executable(bench_redis_costs bench/redis_costs.c)
target_link_libraries(bench_redis_costs PRIVATE presence_scripts PkgConfig::HIREDIS)
