// Commit wait: a stamp that has passed on every clock by the time that anybody sees the commit.
//
//     c++ commit.cpp $(pkg-config --cflags --libs ntp-clock) -o commit && ./commit [host[:port]]
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <ntp_clock.h>

namespace {

struct Close {
    void operator()(ntp_clock_t *clock) const { ntp_clock_close(clock); }
};
using Clock = std::unique_ptr<ntp_clock_t, Close>;

void must(ntp_clock_result_t result) {
    if (result != NTP_CLOCK_OK) {
        throw std::runtime_error(ntp_clock_result_text(result));
    }
}

Clock open(const char *server) {
    ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
    options.server = server;
    ntp_clock_t *clock = nullptr;
    ntp_clock_error_t error;
    if (ntp_clock_open(&options, &clock, &error) != NTP_CLOCK_OK) {
        throw std::invalid_argument(error.text);
    }
    return Clock(clock);
}

// Gives the stamp of a commit, once it has passed everywhere.
std::int64_t commit(const Clock &clock) {
    std::int64_t stamp_ns = 0;
    must(ntp_clock_latest(clock.get(), &stamp_ns));
    must(ntp_clock_wait_until_past(clock.get(), stamp_ns, 5 * NTP_CLOCK_SECOND, nullptr, nullptr));
    return stamp_ns;
}

}  // namespace

int main(int argc, char **argv) {
    try {
        const Clock clock = open(argc > 1 ? argv[1] : nullptr);
        must(ntp_clock_wait_synced(clock.get(), 5 * NTP_CLOCK_SECOND));
        const std::int64_t first_ns = commit(clock);
        const std::int64_t second_ns = commit(clock);
        std::cout << first_ns << " is before " << second_ns << "\n";
        return first_ns < second_ns ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << "\n";
        return 2;
    }
}
