// positions.cpp -- the same header from C++: several keys set and read as one, in one function of RAII handles.
//
//   c++ positions.cpp $(pkg-config --cflags --libs fincache) -o positions && ./positions
#include <fincache.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <unistd.h>

static void check(fc_status status)
{
    if (status != FC_OK) throw std::runtime_error(std::string(fc_status_find(status)->message) + ": " + fc_error_detail(status));
}

struct Cache {
    fc_cache *cache = nullptr;
    fc_session *session = nullptr;
    std::string name;

    explicit Cache(const std::string &segment) : name(segment)
    {
        fc_options options;
        fc_options_init(&options);
        options.size_bytes = 8u << 20;
        check(fc_cache_open(name.c_str(), &options, &cache));
        check(fc_session_open(cache, &session));
    }
    ~Cache()
    {
        fc_session_close(session);
        fc_cache_close(cache);
        fc_cache_unlink(name.c_str());
    }
    Cache(const Cache &) = delete;
    Cache &operator=(const Cache &) = delete;
};

int main()
{
    try {
        Cache book("example-cpp-" + std::to_string(getpid()));
        fc_key keys[2];
        check(fc_key_init(book.cache, 0, "cash", 4, &keys[0]));
        check(fc_key_init(book.cache, 0, "shares", 6, &keys[1]));

        // A trade moves both; every reader sees both or neither, also if this process is killed in the middle.
        fc_write writes[2] = {{"98499.00", 8, 0, 0}, {"10", 2, 0, 0}};
        check(fc_set_many(book.session, keys, writes, 2, 0));

        char cash[32], shares[32];
        fc_read reads[2] = {};
        reads[0].buffer = cash, reads[0].buffer_bytes = sizeof cash;
        reads[1].buffer = shares, reads[1].buffer_bytes = sizeof shares;
        check(fc_get_cut(book.session, keys, reads, 2));
        std::printf("cash %.*s, shares %.*s\n", (int)reads[0].value_bytes, cash, (int)reads[1].value_bytes, shares);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
