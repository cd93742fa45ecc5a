/* What the header promises, tried from C. Arguments: a server that answers, and one that does not; or
 * "shared", a server, and a directory in which processes meet.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ntp_clock.h>

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            abort(); \
        } \
    } while (0)
#define REFUSES(call) CHECK((call) == NTP_CLOCK_BAD_ARGUMENT)

/* What programs were compiled with stays as it is. */
_Static_assert(sizeof(ntp_clock_reading_t) == 32, "a reading");
_Static_assert(sizeof(ntp_clock_stamp_t) == 64, "a stamp");
_Static_assert(sizeof(ntp_clock_error_t) == 512, "an error");
_Static_assert(offsetof(ntp_clock_stamp_t, is_synced) == 25, "whether a stamp has a reading");
_Static_assert(offsetof(ntp_clock_error_t, text) == 32, "an error's text");
_Static_assert(NTP_CLOCK_INTERNAL_ERROR == 9 && NTP_CLOCK_STATE_FAILED == 3, "the last ones");

/* Long, for machines that are busy. */
static const int64_t LONG = 60 * NTP_CLOCK_SECOND;

static int64_t truth_ns(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return now.tv_sec * NTP_CLOCK_SECOND + now.tv_nsec;
}

static ntp_clock_t *opened(const char *server) {
    ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
    options.server = server;
    ntp_clock_t *clock;
    CHECK(ntp_clock_open(&options, &clock, NULL) == NTP_CLOCK_OK);
    return clock;
}

static ntp_clock_t *synced(const char *server) {
    ntp_clock_t *clock = opened(server);
    CHECK(ntp_clock_wait_synced(clock, LONG) == NTP_CLOCK_OK);
    return clock;
}

static void pause_briefly(void) {
    const struct timespec pause = {0, 10 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

/* A round that a busy machine may spoil. */
static void sync_at_last(const ntp_clock_t *clock, ntp_clock_reading_t *reading) {
    ntp_clock_error_t error;
    int tries = 0;
    while (ntp_clock_sync(clock, reading, &error) != NTP_CLOCK_OK) {
        fprintf(stderr, "%s [%s]\n", error.text, error.code);
        CHECK(++tries < 10);
    }
}

static void null_pointers_are_refused_and_nothing_is_written(const ntp_clock_t *clock) {
    ntp_clock_reading_t reading = {1, 2, 3, 4}, before = reading;
    ntp_clock_stamp_t stamp;
    ntp_clock_state_t state;
    ntp_clock_error_t error;
    int64_t time_ns = 5;
    bool answer = false;

    REFUSES(ntp_clock_open(NULL, NULL, NULL));
    REFUSES(ntp_clock_open_global(NULL));
    REFUSES(ntp_clock_now(NULL, &reading));
    REFUSES(ntp_clock_now(clock, NULL));
    REFUSES(ntp_clock_counter(NULL, &time_ns));
    REFUSES(ntp_clock_counter(clock, NULL));
    REFUSES(ntp_clock_at(NULL, 0, &reading));
    REFUSES(ntp_clock_at(clock, 0, NULL));
    REFUSES(ntp_clock_stamp(NULL, &stamp));
    REFUSES(ntp_clock_stamp(clock, NULL));
    REFUSES(ntp_clock_wait_synced(NULL, 0));
    REFUSES(ntp_clock_wait_synced(clock, -1));
    REFUSES(ntp_clock_sync(NULL, &reading, &error));
    CHECK(strcmp(error.text, "clock is a null pointer") == 0 && error.code[0] == '\0');
    REFUSES(ntp_clock_set_poll_interval(NULL, NTP_CLOCK_SECOND, NULL));
    REFUSES(ntp_clock_earliest(NULL, &time_ns));
    REFUSES(ntp_clock_earliest(clock, NULL));
    REFUSES(ntp_clock_latest(NULL, &time_ns));
    REFUSES(ntp_clock_latest(clock, NULL));
    REFUSES(ntp_clock_is_past(NULL, 0, &answer));
    REFUSES(ntp_clock_is_past(clock, 0, NULL));
    REFUSES(ntp_clock_is_future(NULL, 0, &answer));
    REFUSES(ntp_clock_is_future(clock, 0, NULL));
    REFUSES(ntp_clock_wait_until_past(NULL, 0, 0, &reading, &error));
    REFUSES(ntp_clock_wait_until_past(clock, 0, -1, &reading, &error));
    CHECK(strcmp(error.text, "timeout_ns is negative: -1") == 0);
    REFUSES(ntp_clock_state(NULL, &state, &error));
    REFUSES(ntp_clock_state(clock, NULL, &error));
    CHECK(ntp_clock_status_json(NULL) == NULL);
    CHECK(!ntp_clock_definitely_before(NULL, &reading));
    CHECK(!ntp_clock_definitely_before(&reading, NULL));
    char text[NTP_CLOCK_TEXT_SIZE] = "kept";
    REFUSES(ntp_clock_format(0, NULL, sizeof text));
    REFUSES(ntp_clock_format(0, text, sizeof text - 1));
    CHECK(strcmp(text, "kept") == 0);
    ntp_clock_close(NULL);
    ntp_clock_text_free(NULL);
    CHECK(memcmp(&reading, &before, sizeof reading) == 0 && time_ns == 5 && !answer);
}

static void refused(ntp_clock_options_t options, ntp_clock_result_t result, const char *why) {
    ntp_clock_t *clock = (ntp_clock_t *)&options;
    ntp_clock_error_t error;
    CHECK(ntp_clock_open(&options, &clock, &error) == result);
    if (strstr(error.text, why) == NULL) {
        fprintf(stderr, "%s does not say %s\n", error.text, why);
        abort();
    }
    CHECK(clock == NULL);
}

static void options_that_cannot_be_followed_are_refused_with_the_reason(void) {
    const ntp_clock_options_t good = NTP_CLOCK_OPTIONS_INIT;
    ntp_clock_options_t options = good;
    options.server = "no server";
    refused(options, NTP_CLOCK_BAD_SERVER, "no server");
    options.server = "\xff\xfe";
    refused(options, NTP_CLOCK_BAD_ARGUMENT, "options.server is not UTF-8");
    options = good;
    options.nts = "perhaps";
    refused(options, NTP_CLOCK_NO_NTS, "perhaps");
    options = good;
    options.nts_ca = "/nowhere/ca.pem";
    refused(options, NTP_CLOCK_NO_NTS, "NTS is off");
    options.nts = "required";
    refused(options, NTP_CLOCK_NO_NTS, "/nowhere/ca.pem");
    options = good;
    options.poll_interval_ns = 1;
    refused(options, NTP_CLOCK_BAD_OPTION, "poll interval");
    options.poll_interval_ns = -1;
    refused(options, NTP_CLOCK_BAD_OPTION, "options.poll_interval_ns is negative");
    options = good;
    options.holdover_ns = INT64_MAX;
    refused(options, NTP_CLOCK_BAD_OPTION, "30 days");
    options = good;
    options.sharing = 7;
    refused(options, NTP_CLOCK_BAD_OPTION, "options.sharing is 7");
    options = good;
    options.sharing_directory = "/run/clock";
    refused(options, NTP_CLOCK_BAD_OPTION, "sharing is not");
    options = good;
    options.size = 0;
    refused(options, NTP_CLOCK_BAD_ARGUMENT, "NTP_CLOCK_OPTIONS_INIT");
}

static void without_a_reply_there_is_no_time_and_the_clock_says_why(const char *silent) {
    ntp_clock_t *clock = opened(silent);
    ntp_clock_reading_t reading = {1, 2, 3, 4}, before = reading;
    ntp_clock_error_t error;
    ntp_clock_state_t state;
    int64_t time_ns = 5;
    bool answer = false;

    int tries = 0;
    do {
        CHECK(ntp_clock_sync(clock, &reading, &error) == NTP_CLOCK_SYNC_FAILED);
        CHECK(error.text[0] != '\0' && ++tries < 10);
    } while (strcmp(error.code, "refused") != 0);
    CHECK(strstr(error.text, silent) != NULL);
    CHECK(ntp_clock_state(clock, &state, &error) == NTP_CLOCK_OK);
    CHECK(state == NTP_CLOCK_STATE_UNSYNCHRONISED || state == NTP_CLOCK_STATE_FAILED);
    CHECK(strcmp(error.code, "refused") == 0);

    CHECK(ntp_clock_now(clock, &reading) == NTP_CLOCK_NOT_SYNCHRONISED);
    CHECK(ntp_clock_earliest(clock, &time_ns) == NTP_CLOCK_NOT_SYNCHRONISED);
    CHECK(ntp_clock_latest(clock, &time_ns) == NTP_CLOCK_NOT_SYNCHRONISED);
    CHECK(ntp_clock_is_past(clock, 0, &answer) == NTP_CLOCK_NOT_SYNCHRONISED);
    CHECK(ntp_clock_is_future(clock, INT64_MAX, &answer) == NTP_CLOCK_NOT_SYNCHRONISED);
    CHECK(ntp_clock_wait_synced(clock, 0) == NTP_CLOCK_TIMED_OUT);
    CHECK(ntp_clock_wait_until_past(clock, 0, 0, &reading, &error) == NTP_CLOCK_TIMED_OUT);
    CHECK(strstr(error.text, "not synchronised") != NULL);
    CHECK(memcmp(&reading, &before, sizeof reading) == 0 && time_ns == 5 && !answer);

    ntp_clock_stamp_t stamp;
    int64_t counter_ns;
    CHECK(ntp_clock_stamp(clock, &stamp) == NTP_CLOCK_OK && !stamp.is_synced);
    CHECK(stamp.reading.time_ns == 0 && stamp.reading.epoch == 0);
    CHECK(ntp_clock_counter(clock, &counter_ns) == NTP_CLOCK_OK);
    CHECK(ntp_clock_at(clock, counter_ns, &reading) == NTP_CLOCK_NOT_SYNCHRONISED);
    ntp_clock_close(clock);
}

static void readings_are_right_within_their_bound(const ntp_clock_t *clock) {
    ntp_clock_reading_t now, then, fresh;
    ntp_clock_stamp_t stamp;
    ntp_clock_state_t state;
    ntp_clock_error_t error;
    int64_t before = truth_ns();
    CHECK(ntp_clock_now(clock, &now) == NTP_CLOCK_OK);
    int64_t after = truth_ns();
    CHECK(before - now.max_error_ns <= now.time_ns && now.time_ns <= after + now.max_error_ns);
    CHECK(0 < now.max_error_ns && now.max_error_ns < 4 * NTP_CLOCK_SECOND);
    CHECK(0 <= now.est_error_ns && now.est_error_ns <= now.max_error_ns && now.epoch == 1);

    CHECK(ntp_clock_stamp(clock, &stamp) == NTP_CLOCK_OK && stamp.is_synced);
    CHECK(strlen(stamp.counter_id) == 16 && stamp.reading.time_ns >= now.time_ns);
    CHECK(ntp_clock_at(clock, stamp.counter_ns, &then) == NTP_CLOCK_OK);
    CHECK(llabs(then.time_ns - stamp.reading.time_ns) <= then.max_error_ns);
    CHECK(ntp_clock_at(clock, INT64_MAX, &then) == NTP_CLOCK_NOT_SYNCHRONISED);

    sync_at_last(clock, &fresh);
    CHECK(fresh.time_ns >= now.time_ns);
    CHECK(ntp_clock_state(clock, &state, &error) == NTP_CLOCK_OK);
    CHECK(state == NTP_CLOCK_STATE_SYNCHRONISED && error.code[0] == '\0' && error.text[0] == '\0');
}

static void what_is_past_and_what_is_not_and_waits_for_it(const ntp_clock_t *clock) {
    ntp_clock_reading_t past;
    ntp_clock_error_t error;
    int64_t earliest_ns, latest_ns;
    bool answer;
    CHECK(ntp_clock_earliest(clock, &earliest_ns) == NTP_CLOCK_OK);
    CHECK(ntp_clock_latest(clock, &latest_ns) == NTP_CLOCK_OK && earliest_ns < latest_ns);
    CHECK(ntp_clock_is_past(clock, 0, &answer) == NTP_CLOCK_OK && answer);
    CHECK(ntp_clock_is_past(clock, INT64_MAX, &answer) == NTP_CLOCK_OK && !answer);
    CHECK(ntp_clock_is_future(clock, INT64_MAX, &answer) == NTP_CLOCK_OK && answer);
    CHECK(ntp_clock_is_future(clock, 0, &answer) == NTP_CLOCK_OK && !answer);
    CHECK(ntp_clock_wait_until_past(clock, latest_ns, LONG, &past, &error) == NTP_CLOCK_OK);
    CHECK(past.time_ns - past.max_error_ns > latest_ns);
    int64_t ahead_ns = latest_ns + 3600 * NTP_CLOCK_SECOND;
    CHECK(ntp_clock_wait_until_past(clock, ahead_ns, NTP_CLOCK_SECOND, &past, &error)
          == NTP_CLOCK_TOO_FAR);
    CHECK(strstr(error.text, "longer than the time-out") != NULL);
    CHECK(ntp_clock_wait_until_past(clock, INT64_MAX, NTP_CLOCK_FOREVER, NULL, NULL)
          == NTP_CLOCK_TOO_FAR);
    CHECK(ntp_clock_set_poll_interval(clock, -1, &error) == NTP_CLOCK_BAD_OPTION);
    CHECK(strstr(error.text, "poll interval") != NULL);
    CHECK(ntp_clock_set_poll_interval(clock, LONG, NULL) == NTP_CLOCK_OK);
}

static void *read_in_order(void *clock) {
    ntp_clock_reading_t last, now;
    CHECK(ntp_clock_now(clock, &last) == NTP_CLOCK_OK);
    for (int i = 0; i < 20000; i++) {
        CHECK(ntp_clock_now(clock, &now) == NTP_CLOCK_OK);
        CHECK(now.time_ns >= last.time_ns || now.epoch != last.epoch);
        last = now;
    }
    return NULL;
}

static void threads_share_a_handle(ntp_clock_t *clock) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, read_in_order, clock) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void a_child_goes_on_with_its_parents_time_and_synchronises_for_itself(ntp_clock_t *clock) {
    ntp_clock_reading_t before, after;
    CHECK(ntp_clock_now(clock, &before) == NTP_CLOCK_OK);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(ntp_clock_now(clock, &after) == NTP_CLOCK_OK);
        CHECK(after.epoch == before.epoch && after.time_ns >= before.time_ns);
        sync_at_last(clock, NULL);
        ntp_clock_close(clock);
        _exit(42);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK(ntp_clock_now(clock, &after) == NTP_CLOCK_OK && after.time_ns >= before.time_ns);
}

static void the_global_clock_is_one_and_follows_the_environment(const char *server) {
    CHECK(setenv("PORTACODE_NTP_SERVER", server, 1) == 0);
    ntp_clock_t *one, *other;
    CHECK(ntp_clock_open_global(&one) == NTP_CLOCK_OK);
    CHECK(ntp_clock_open_global(&other) == NTP_CLOCK_OK && one != other);
    CHECK(ntp_clock_wait_synced(one, LONG) == NTP_CLOCK_OK);
    ntp_clock_close(one);
    ntp_clock_reading_t now;
    CHECK(ntp_clock_now(other, &now) == NTP_CLOCK_OK);
    char *status = ntp_clock_status_json(other);
    CHECK(status != NULL && strstr(status, server) != NULL);
    CHECK(strstr(status, "\"state\":\"synchronised\"") != NULL);
    ntp_clock_text_free(status);
    ntp_clock_close(other);
}

static ntp_clock_t *shared(const char *server, const char *directory, int32_t sharing) {
    ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
    options.server = server;
    options.sharing = sharing;
    options.sharing_directory = directory;
    ntp_clock_t *clock;
    CHECK(ntp_clock_open(&options, &clock, NULL) == NTP_CLOCK_OK);
    CHECK(ntp_clock_wait_synced(clock, LONG) == NTP_CLOCK_OK);
    return clock;
}

/* Soon, for the part is said by the clock's thread. */
static void has_part(const ntp_clock_t *clock, const char *part) {
    for (int tries = 0;; tries++) {
        char *status = ntp_clock_status_json(clock);
        CHECK(status != NULL);
        bool has = strstr(status, part) != NULL;
        if (!has && tries == 3000) {
            fprintf(stderr, "%s is not in %s\n", part, status);
            abort();
        }
        ntp_clock_text_free(status);
        if (has) {
            return;
        }
        pause_briefly();
    }
}

static void processes_share_one_clock_that_one_of_them_synchronises(const char *server,
                                                                    const char *directory) {
    ntp_clock_t *writer = shared(server, directory, NTP_CLOCK_SHARED);
    has_part(writer, "\"part\":\"writer\"");
    ntp_clock_reading_t before, there;
    CHECK(ntp_clock_now(writer, &before) == NTP_CLOCK_OK);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        ntp_clock_error_t error;
        ntp_clock_t *reader = shared(server, directory, NTP_CLOCK_SHARED_ONLY_READS);
        has_part(reader, "\"part\":\"reader\"");
        CHECK(ntp_clock_now(reader, &there) == NTP_CLOCK_OK);
        CHECK(there.epoch == before.epoch && there.time_ns >= before.time_ns);
        CHECK(ntp_clock_sync(reader, &there, &error) == NTP_CLOCK_SYNC_FAILED);
        CHECK(strcmp(error.code, "only_reads") == 0);
        ntp_clock_close(reader);
        _exit(42);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    ntp_clock_close(writer);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "shared") == 0) {
        processes_share_one_clock_that_one_of_them_synchronises(argv[2], argv[3]);
        puts("all promises kept");
        return 0;
    }
    CHECK(argc == 3);
    CHECK(strcmp(ntp_clock_version(), NTP_CLOCK_VERSION) == 0);
    ntp_clock_t *clock = synced(argv[1]);
    null_pointers_are_refused_and_nothing_is_written(clock);
    options_that_cannot_be_followed_are_refused_with_the_reason();
    without_a_reply_there_is_no_time_and_the_clock_says_why(argv[2]);
    readings_are_right_within_their_bound(clock);
    what_is_past_and_what_is_not_and_waits_for_it(clock);
    threads_share_a_handle(clock);
    a_child_goes_on_with_its_parents_time_and_synchronises_for_itself(clock);
    the_global_clock_is_one_and_follows_the_environment(argv[1]);
    ntp_clock_close(clock);
    puts("all promises kept");
    return 0;
}
