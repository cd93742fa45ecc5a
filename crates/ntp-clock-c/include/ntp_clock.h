/*
 * libntp_clock: a synchronised clock in process, with an error on every reading.
 *
 *     #include <ntp_clock.h>
 *
 *     ntp_clock_t *clock;
 *     if (ntp_clock_open(NULL, &clock, NULL) != NTP_CLOCK_OK) abort();
 *     ntp_clock_reading_t now;
 *     if (ntp_clock_now(clock, &now) == NTP_CLOCK_OK) {
 *         // now.time_ns is right within now.max_error_ns
 *     }
 *     ntp_clock_close(clock);
 *
 *     cc program.c $(pkg-config --cflags --libs ntp-clock)
 *
 * Time is in int64_t, nanoseconds, and names end in _ns. A time is UTC as the server has it, since
 * 1970-01-01 00:00:00 UTC, leap seconds not counted. There is a time that is right within its
 * bound, or there is none: no guess, no other clock in its place.
 *
 * Null: a pointer that is needed and null gives NTP_CLOCK_BAD_ARGUMENT; a function says which may
 * be null. Results are written where a call succeeds, and else left as they are.
 *
 * Threads: a handle may be used by all threads at once, without a lock. Each clock has a thread of
 * its own, to which no signal is delivered. No function may be called in a signal handler.
 *
 * Processes: each has a clock of its own, or those of a machine have one that one of them synchronises:
 * options.sharing, or PORTACODE_NTP_SHARED=1 in the environment.
 *
 * Fork: handles go on in the child, from the time that the parent had; the child's first call
 * starts a thread there. Each process closes its handles for itself.
 *
 * Faults of the library's end as NTP_CLOCK_INTERNAL_ERROR, and never leave a function otherwise.
 * The shared library is not unloaded by dlclose(), for its threads may still run.
 *
 * Compatible: the structs stay as they are, except ntp_clock_options_t, which says its size.
 * Enumerations may have more values in later versions.
 *
 * This file is made by cbindgen of the crate ntp-clock-c.
 */

#ifndef NTP_CLOCK_H
#define NTP_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The version of this header; ntp_clock_version() is that of the library. */
#define NTP_CLOCK_VERSION "2.0.0"
#define NTP_CLOCK_VERSION_MAJOR 2
#define NTP_CLOCK_VERSION_MINOR 0
#define NTP_CLOCK_VERSION_PATCH 0

/** A second in nanoseconds. */
#define NTP_CLOCK_SECOND INT64_C(1000000000)

/** What options begin with: `ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;` */
#define NTP_CLOCK_OPTIONS_INIT \
    { sizeof(ntp_clock_options_t), NULL, NULL, NULL, 0, 0, NTP_CLOCK_NOT_SHARED, NULL, NULL }

/** Results that must not be passed over. */
#if defined(__GNUC__)
#define NTP_CLOCK_MUST_USE __attribute__((warn_unused_result))
#else
#define NTP_CLOCK_MUST_USE
#endif


/**
 * A time-out that never passes.
 */
#define NTP_CLOCK_FOREVER INT64_MAX

/**
 * Room for a time as text, its end included.
 */
#define NTP_CLOCK_TEXT_SIZE 33

/**
 * How a call ended. All that a function writes to (a reading, a handle's place) is written to only
 * where it returns NTP_CLOCK_OK, unless it says otherwise.
 */
typedef enum {
    /**
     * Done.
     */
    NTP_CLOCK_OK = 0,
    /**
     * There is no time now, and none is guessed: ntp_clock_state() says why. It comes back by
     * itself.
     */
    NTP_CLOCK_NOT_SYNCHRONISED = 1,
    /**
     * The time-out passed first.
     */
    NTP_CLOCK_TIMED_OUT = 2,
    /**
     * That time is further ahead than the time-out: it was not waited for.
     */
    NTP_CLOCK_TOO_FAR = 3,
    /**
     * The round that was asked for gave no time.
     */
    NTP_CLOCK_SYNC_FAILED = 4,
    /**
     * A pointer that is needed is null, a time-out is negative, or a text is not UTF-8.
     */
    NTP_CLOCK_BAD_ARGUMENT = 5,
    /**
     * The server's name is malformed.
     */
    NTP_CLOCK_BAD_SERVER = 6,
    /**
     * An option has a value that no clock can have.
     */
    NTP_CLOCK_BAD_OPTION = 7,
    /**
     * Network Time Security is required and cannot be had, or is chosen by another word than
     * "off" and "required".
     */
    NTP_CLOCK_NO_NTS = 8,
    /**
     * A fault of the library's own. The handle may still be used.
     */
    NTP_CLOCK_INTERNAL_ERROR = 9,
} ntp_clock_result_t;

/**
 * Whether a clock has a time, and if not, why not (docs/STATUS.md).
 */
typedef enum {
    /**
     * Not yet: the first attempts are under way.
     */
    NTP_CLOCK_STATE_UNSYNCHRONISED = 0,
    /**
     * It has.
     */
    NTP_CLOCK_STATE_SYNCHRONISED = 1,
    /**
     * The server is lost; readings go on, with growing errors, because holdover was asked for.
     */
    NTP_CLOCK_STATE_HOLDOVER = 2,
    /**
     * Three attempts failed. It goes on trying.
     */
    NTP_CLOCK_STATE_FAILED = 3,
} ntp_clock_state_t;

/**
 * How processes of this machine have one clock (Linux; docs/HOST_CLOCK.md).
 */
typedef enum {
    /**
     * A clock of its own.
     */
    NTP_CLOCK_NOT_SHARED = 0,
    /**
     * One of them synchronises, all of them read what it writes, and another one goes on when it
     * ends.
     */
    NTP_CLOCK_SHARED = 1,
    /**
     * The same, but this process never asks a server: it has no time where no other has.
     */
    NTP_CLOCK_SHARED_ONLY_READS = 2,
} ntp_clock_sharing_t;

/**
 * A clock. Opened by ntp_clock_open() or ntp_clock_open_global(), closed by ntp_clock_close().
 * Threads may share it without a lock.
 */
typedef struct ntp_clock_t ntp_clock_t;

/**
 * How a clock is to be. Begin with NTP_CLOCK_OPTIONS_INIT, or with all bytes zero and `size` set;
 * every other member's zero is its default. Texts are UTF-8 and read during the call alone.
 *
 * Later versions have more members at the end; `size` says which of them the program knows.
 */
typedef struct {
    /**
     * sizeof(ntp_clock_options_t).
     */
    size_t size;
    /**
     * The one server, host[:port]; null: time.cloudflare.com.
     */
    const char *server;
    /**
     * Network Time Security: "off" or "required"; null: off. There is no way back to plain NTP.
     */
    const char *nts;
    /**
     * File of certificates (PEM) that are trusted instead of the platform's; null: the platform's.
     * It goes with nts "required" alone.
     */
    const char *nts_ca;
    /**
     * Pause between polls, nanoseconds: 1 s to 1 day; 0: 5 minutes.
     */
    int64_t poll_interval_ns;
    /**
     * For how long readings go on, with growing errors, once the server is lost, nanoseconds: at
     * most 30 days; 0: not at all.
     */
    int64_t holdover_ns;
    /**
     * Whether processes of this machine have one clock: an ntp_clock_sharing_t; 0: a clock of its
     * own. Where sharing is not possible it is one of its own, and ntp_clock_status_json() says
     * why.
     */
    int32_t sharing;
    /**
     * Directory in which they meet; null: one of the user's. It goes with sharing alone.
     */
    const char *sharing_directory;
    /**
     * The id of a user whose pages are believed besides our own and root's; null: nobody's. It
     * goes with sharing alone.
     */
    const uint32_t *sharing_operator;
} ntp_clock_options_t;

/**
 * Why something failed, in memory of the caller's.
 */
typedef struct {
    /**
     * One word for programs, that stays from version to version: "no_reply", "refused",
     * "no_address" ... (docs/STATUS.md has them all). Empty where the result says it all.
     */
    char code[32];
    /**
     * What happened, to what and what to do, UTF-8. It may change between versions, and is cut
     * where it is longer.
     */
    char text[480];
} ntp_clock_error_t;

/**
 * What the time is, and how wrong that can be.
 */
typedef struct {
    /**
     * True time: UTC as the server has it, nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds
     * not counted (Unix's scale).
     */
    int64_t time_ns;
    /**
     * Hard bound: the truth is certainly within time_ns - max_error_ns and time_ns + max_error_ns.
     * Nanoseconds, never negative.
     */
    int64_t max_error_ns;
    /**
     * How wrong it probably is: one standard deviation, nanoseconds, at most max_error_ns.
     */
    int64_t est_error_ns;
    /**
     * Readings of one clock and one epoch never decrease, in all processes that share it; where
     * another epoch begins, time may jump. From 1 where the clock is not shared.
     */
    uint64_t epoch;
} ntp_clock_reading_t;

/**
 * A moment by the local counter and, where there is one, by the clock: both of one look.
 */
typedef struct {
    /**
     * The local counter, nanoseconds since a moment that means nothing.
     */
    int64_t counter_ns;
    /**
     * Which counter that is, 16 hexadecimal digits: moments of the same one can be compared,
     * whichever process read them. Another one after the machine slept.
     */
    char counter_id[17];
    /**
     * Whether there is a reading.
     */
    bool is_synced;
    /**
     * The time at that moment; all zero where is_synced is false.
     */
    ntp_clock_reading_t reading;
} ntp_clock_stamp_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The result in words, a constant. Never null, whatever the result.
 *
 * Any thread, at any time.
 *
 * ```c
 * ntp_clock_reading_t now;
 * ntp_clock_result_t result = ntp_clock_now(clock, &now);
 * if (result != NTP_CLOCK_OK) {
 *     fprintf(stderr, "no time: %s\n", ntp_clock_result_text(result));
 * }
 * ```
 */
const char *ntp_clock_result_text(int32_t result);

/**
 * Opens a clock of its own, which asks its server at once, on a thread of its own. It does not
 * wait for the answer: readings begin one round trip later.
 *
 * options: null for the defaults. clock: receives the handle, or null where the call fails. error:
 * receives what is wrong where the call fails; null where nobody wants to know.
 *
 * Returns NTP_CLOCK_BAD_SERVER, NTP_CLOCK_BAD_OPTION, NTP_CLOCK_NO_NTS (with nts_ca, its file is
 * read now), or NTP_CLOCK_BAD_ARGUMENT where clock is null or options.size is not set.
 *
 * Any thread, at any time.
 *
 * ```c
 * ntp_clock_options_t options = NTP_CLOCK_OPTIONS_INIT;
 * options.server = "localhost:11123";
 * options.holdover_ns = 600 * NTP_CLOCK_SECOND;
 *
 * ntp_clock_t *mine;
 * ntp_clock_error_t error;
 * if (ntp_clock_open(&options, &mine, &error) != NTP_CLOCK_OK) {
 *     fprintf(stderr, "cannot open the clock: %s\n", error.text);
 *     exit(1);
 * }
 * ntp_clock_close(mine);
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_open(const ntp_clock_options_t *options,
                                  ntp_clock_t **clock,
                                  ntp_clock_error_t *error);

/**
 * Opens the clock that all of the program shares, Rust's part of it too: with
 * time.cloudflare.com, or as the environment variables PORTACODE_NTP_SERVER, PORTACODE_NTP_NTS,
 * PORTACODE_NTP_NTS_CA and PORTACODE_NTP_SHARED say. It runs from the first call on until the program ends; every handle to
 * it is closed for itself.
 *
 * clock: receives the handle. A variable that cannot be followed leaves the clock unsynchronised,
 * and ntp_clock_state() says why.
 *
 * Returns NTP_CLOCK_BAD_ARGUMENT where clock is null.
 *
 * Any thread, at any time.
 *
 * ```c
 * ntp_clock_t *shared;
 * if (ntp_clock_open_global(&shared) == NTP_CLOCK_OK) {
 *     ntp_clock_close(shared);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_open_global(ntp_clock_t **clock);

/**
 * Closes a clock: its thread ends by itself, soon, and is not waited for. Null is allowed.
 *
 * Any thread, once, when no other thread uses the handle or will.
 *
 * ```c
 * ntp_clock_t *mine = NULL;
 * ntp_clock_close(mine);
 * ```
 */
void ntp_clock_close(ntp_clock_t *clock);

/**
 * The time now, with its errors. It never waits, locks or allocates.
 *
 * reading: receives it. Returns NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
 *
 * Any thread, at any time.
 *
 * ```c
 * ntp_clock_reading_t now;
 * if (ntp_clock_now(clock, &now) == NTP_CLOCK_OK) {
 *     printf("%" PRId64 " ns, off by at most %" PRId64 " ns\n", now.time_ns, now.max_error_ns);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_now(const ntp_clock_t *clock,
                                 ntp_clock_reading_t *reading);

/**
 * The local counter now, nanoseconds since a moment that means nothing: to be dated later by
 * ntp_clock_at(). It is there also without synchronised time, and never waits.
 *
 * Any thread, at any time.
 *
 * ```c
 * int64_t begun_ns;
 * if (ntp_clock_counter(clock, &begun_ns) == NTP_CLOCK_OK) {
 *     // ... later, once the clock is synchronised:
 *     ntp_clock_reading_t begun;
 *     if (ntp_clock_at(clock, begun_ns, &begun) == NTP_CLOCK_OK) {
 *         printf("begun at %" PRId64 "\n", begun.time_ns);
 *     }
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_counter(const ntp_clock_t *clock,
                                     int64_t *counter_ns);

/**
 * The time at another moment of the local counter, also from before the first synchronisation.
 *
 * counter_ns: from ntp_clock_counter() or ntp_clock_stamp(). reading: receives the time then.
 * Returns NTP_CLOCK_NOT_SYNCHRONISED while there is no time, for moments before the machine last
 * slept, and for those beyond the time for which the clock can speak.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * int64_t then_ns;
 * ntp_clock_reading_t then;
 * if (ntp_clock_counter(clock, &then_ns) == NTP_CLOCK_OK
 *     && ntp_clock_at(clock, then_ns, &then) == NTP_CLOCK_OK) {
 *     printf("then it was %" PRId64 "\n", then.time_ns);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_at(const ntp_clock_t *clock,
                                int64_t counter_ns,
                                ntp_clock_reading_t *reading);

/**
 * The local counter, which counter it is, and the time now: what to keep of an event that others
 * are to compare with theirs. It succeeds also without synchronised time.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * ntp_clock_stamp_t stamp;
 * if (ntp_clock_stamp(clock, &stamp) == NTP_CLOCK_OK) {
 *     printf("%" PRId64 " of counter %s, %s\n", stamp.counter_ns, stamp.counter_id,
 *            stamp.is_synced ? "with the time" : "without the time");
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_stamp(const ntp_clock_t *clock,
                                   ntp_clock_stamp_t *stamp);

/**
 * Whether one moment certainly came before another, wherever each was read: their bounds do not
 * meet. False where either is null.
 *
 * Any thread, at any time.
 *
 * ```c
 * ntp_clock_reading_t a = {1000, 10, 3, 1}, b = {1021, 10, 3, 1}, c = {1020, 10, 3, 1};
 * CHECK(ntp_clock_definitely_before(&a, &b));
 * CHECK(!ntp_clock_definitely_before(&a, &c));
 * ```
 */
bool ntp_clock_definitely_before(const ntp_clock_reading_t *one, const ntp_clock_reading_t *other);

/**
 * Waits until there is a time.
 *
 * timeout_ns: for so long at most; 0 does not wait, NTP_CLOCK_FOREVER waits as long as it takes.
 * Returns NTP_CLOCK_TIMED_OUT where there is none by then: ntp_clock_state() says why.
 *
 * Any thread, also several at a time. Signals do not end the wait.
 *
 * ```c
 * if (ntp_clock_wait_synced(clock, 5 * NTP_CLOCK_SECOND) != NTP_CLOCK_OK) {
 *     ntp_clock_state_t state;
 *     ntp_clock_error_t why;
 *     if (ntp_clock_state(clock, &state, &why) == NTP_CLOCK_OK) {
 *         fprintf(stderr, "no time: %s [%s]\n", why.text, why.code);
 *     }
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_wait_synced(const ntp_clock_t *clock,
                                         int64_t timeout_ns);

/**
 * Has the server asked now, and waits for the end of that, 15 s at most; joins a round that is
 * under way. A clock asks by itself: this is for who wants a fresh answer.
 *
 * reading: receives the time then; null where nobody wants it. error: receives the reason where
 * the round fails, with its code; may be null. Returns NTP_CLOCK_SYNC_FAILED where it had no
 * believed reply, the server asked not to be asked for now, or another process of the machine
 * synchronises the clock (code "only_reads").
 *
 * Any thread, also several at a time.
 *
 * ```c
 * ntp_clock_reading_t fresh;
 * ntp_clock_error_t error;
 * if (ntp_clock_sync(clock, &fresh, &error) == NTP_CLOCK_SYNC_FAILED) {
 *     fprintf(stderr, "%s [%s]\n", error.text, error.code);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_sync(const ntp_clock_t *clock,
                                  ntp_clock_reading_t *reading,
                                  ntp_clock_error_t *error);

/**
 * Changes the pause between polls, from the next one on, or at once if it becomes shorter.
 *
 * interval_ns: nanoseconds, 1 s to 1 day; else NTP_CLOCK_BAD_OPTION. error: receives the reason;
 * may be null.
 *
 * Any thread, at any time.
 *
 * ```c
 * if (ntp_clock_set_poll_interval(clock, 60 * NTP_CLOCK_SECOND, NULL) != NTP_CLOCK_OK) {
 *     abort();
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_set_poll_interval(const ntp_clock_t *clock,
                                               int64_t interval_ns,
                                               ntp_clock_error_t *error);

/**
 * The earliest that true time can be now: the reading's time less its max_error.
 *
 * time_ns: receives it, nanoseconds since 1970-01-01 00:00:00 UTC. Returns
 * NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * int64_t earliest_ns, latest_ns;
 * if (ntp_clock_earliest(clock, &earliest_ns) == NTP_CLOCK_OK
 *     && ntp_clock_latest(clock, &latest_ns) == NTP_CLOCK_OK) {
 *     CHECK(earliest_ns <= latest_ns);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_earliest(const ntp_clock_t *clock,
                                      int64_t *time_ns);

/**
 * The latest that true time can be now, the reading's time plus its max_error: the time to give to
 * what is committed now.
 *
 * time_ns: receives it, nanoseconds since 1970-01-01 00:00:00 UTC. Returns
 * NTP_CLOCK_NOT_SYNCHRONISED while there is no time.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * int64_t stamp_ns;
 * if (ntp_clock_latest(clock, &stamp_ns) == NTP_CLOCK_OK) {
 *     printf("committed at %" PRId64 "\n", stamp_ns);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE ntp_clock_result_t ntp_clock_latest(const ntp_clock_t *clock, int64_t *time_ns);

/**
 * Whether a time has certainly passed.
 *
 * time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. is_past: receives the answer. Returns
 * NTP_CLOCK_NOT_SYNCHRONISED while there is no time: it is neither past nor future.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * bool expired;
 * if (ntp_clock_is_past(clock, INT64_C(1759639032000000000), &expired) == NTP_CLOCK_OK
 *     && expired) {
 *     puts("the lease has certainly ended");
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_is_past(const ntp_clock_t *clock,
                                     int64_t time_ns,
                                     bool *is_past);

/**
 * Whether a time has certainly not come yet.
 *
 * time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. is_future: receives the answer. Returns
 * NTP_CLOCK_NOT_SYNCHRONISED while there is no time: it is neither past nor future.
 *
 * Any thread, at any time; it never waits.
 *
 * ```c
 * bool valid;
 * if (ntp_clock_is_future(clock, INT64_MAX, &valid) == NTP_CLOCK_OK && valid) {
 *     puts("the lease is certainly ours");
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_is_future(const ntp_clock_t *clock,
                                       int64_t time_ns,
                                       bool *is_future);

/**
 * Waits until a time has certainly passed (commit wait), as long as the error of the moment asks
 * for and no longer. It goes on through epochs and while there is no time.
 *
 * time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. timeout_ns: for so long at most; 0 looks once,
 * NTP_CLOCK_FOREVER waits as long as it takes. reading: receives the reading that says so; may be
 * null. error: receives what is missing where the call fails; may be null.
 *
 * Returns NTP_CLOCK_TIMED_OUT, or NTP_CLOCK_TOO_FAR at once where no wait of that length can
 * reach the time. A caller that waited to commit must not commit then.
 *
 * Any thread, also several at a time. Signals do not end the wait.
 *
 * ```c
 * int64_t stamp_ns;
 * if (ntp_clock_latest(clock, &stamp_ns) == NTP_CLOCK_OK
 *     && ntp_clock_wait_until_past(clock, stamp_ns, NTP_CLOCK_SECOND, NULL, NULL)
 *            == NTP_CLOCK_OK) {
 *     puts("committed: the stamp has passed on every clock");
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_wait_until_past(const ntp_clock_t *clock,
                                             int64_t time_ns,
                                             int64_t timeout_ns,
                                             ntp_clock_reading_t *reading,
                                             ntp_clock_error_t *error);

/**
 * Whether the clock has a time, and why its last attempt failed.
 *
 * state: receives it. last_error: receives why the last attempt failed, empty texts where it did
 * not; may be null.
 *
 * Any thread, at any time. It takes a lock for a moment: for log lines, not for every reading.
 *
 * ```c
 * ntp_clock_state_t state;
 * ntp_clock_error_t last_error;
 * if (ntp_clock_state(clock, &state, &last_error) == NTP_CLOCK_OK
 *     && state == NTP_CLOCK_STATE_FAILED) {
 *     fprintf(stderr, "no time: %s [%s]\n", last_error.text, last_error.code);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE
ntp_clock_result_t ntp_clock_state(const ntp_clock_t *clock,
                                   ntp_clock_state_t *state,
                                   ntp_clock_error_t *last_error);

/**
 * Everything about the clock at this moment: a JSON object with the keys of `ntp-clock status
 * --json` and of Python's get_status(), which name their units; null is what is not known.
 *
 * Returns a text in UTF-8 to be freed by ntp_clock_text_free(), or null where clock is null.
 *
 * Any thread, at any time. It takes a lock for a moment.
 *
 * ```c
 * char *status = ntp_clock_status_json(clock);
 * if (status != NULL) {
 *     puts(status);
 * }
 * ntp_clock_text_free(status);
 * ```
 */
NTP_CLOCK_MUST_USE char *ntp_clock_status_json(const ntp_clock_t *clock);

/**
 * A time as text in ISO 8601, UTC, microseconds rounded down:
 * "2025-10-05T04:37:12.768445+00:00".
 *
 * time_ns: nanoseconds since 1970-01-01 00:00:00 UTC. text, size: where it is written, and the room
 * there, NTP_CLOCK_TEXT_SIZE at least; else nothing is written, and the result is
 * NTP_CLOCK_BAD_ARGUMENT.
 *
 * Any thread, at any time.
 *
 * ```c
 * char text[NTP_CLOCK_TEXT_SIZE];
 * if (ntp_clock_format(INT64_C(1759639032768445999), text, sizeof text) == NTP_CLOCK_OK) {
 *     puts(text);
 *     CHECK(strcmp(text, "2025-10-05T04:37:12.768445+00:00") == 0);
 * }
 * ```
 */
NTP_CLOCK_MUST_USE ntp_clock_result_t ntp_clock_format(int64_t time_ns, char *text, size_t size);

/**
 * The version of the library that runs, as "2.0.0"; NTP_CLOCK_VERSION is that of the header.
 *
 * Any thread, at any time.
 *
 * ```c
 * printf("libntp_clock %s\n", ntp_clock_version());
 * ```
 */
const char *ntp_clock_version(void);

/**
 * Frees a text that the library gave; null is allowed.
 *
 * Any thread, once for each text.
 *
 * ```c
 * char *status = ntp_clock_status_json(clock);
 * ntp_clock_text_free(status);
 * ```
 */
void ntp_clock_text_free(char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NTP_CLOCK_H */
