/* Prints the time with its error, and what the clock says about itself.
 *
 *     cc now.c $(pkg-config --cflags --libs ntp-clock) -o now && ./now [host[:port]]
 */
#include <inttypes.h>
#include <stdio.h>

#include <ntp_clock.h>

/* Why there is no time, for people. */
static int complain(const ntp_clock_t *clock, ntp_clock_result_t result) {
    ntp_clock_state_t state;
    ntp_clock_error_t why;
    if (ntp_clock_state(clock, &state, &why) == NTP_CLOCK_OK && why.text[0] != '\0') {
        fprintf(stderr, "no time: %s [%s]\n", why.text, why.code);
    } else {
        fprintf(stderr, "no time: %s\n", ntp_clock_result_text(result));
    }
    return 1;
}

static int tell(const ntp_clock_t *clock) {
    ntp_clock_reading_t now;
    ntp_clock_result_t result = ntp_clock_wait_synced(clock, 5 * NTP_CLOCK_SECOND);
    if (result == NTP_CLOCK_OK) {
        result = ntp_clock_now(clock, &now);
    }
    if (result != NTP_CLOCK_OK) {
        return complain(clock, result);
    }
    char text[NTP_CLOCK_TEXT_SIZE];
    if (ntp_clock_format(now.time_ns, text, sizeof text) != NTP_CLOCK_OK) {
        return 1;
    }
    printf("%s, off by at most %" PRId64 " ns, probably by %" PRId64 " ns\n", text,
           now.max_error_ns, now.est_error_ns);
    char *status = ntp_clock_status_json(clock);
    if (status != NULL) {
        puts(status);
    }
    ntp_clock_text_free(status);
    return 0;
}

int main(int argc, char **argv) {
    ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
    if (argc > 1) {
        options.server = argv[1];
    }
    ntp_clock_t *clock;
    ntp_clock_error_t error;
    if (ntp_clock_open(&options, &clock, &error) != NTP_CLOCK_OK) {
        fprintf(stderr, "cannot open the clock: %s\n", error.text);
        return 2;
    }
    int status = tell(clock);
    ntp_clock_close(clock);
    return status;
}
