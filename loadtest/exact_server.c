/* An OpenAI-compatible server whose answers come at exact instants, to measure a client against.
 *
 * Token 1 is due TTFT after the request, token k (k-1) intervals later. Deadlines are absolute instants of
 * CLOCK_MONOTONIC kept in a heap and waited for with one timerfd: they never drift and nothing is sent early.
 * A request's clock starts when the kernel received its last bytes (SO_TIMESTAMPING), not when this process
 * got to read them. How late each write was (the instant just before send() minus the deadline) is kept in
 * histograms, first tokens apart from the rest: that is the truth a client is compared with.
 *
 * GET /lateness gives them as JSON, POST /lateness/reset begins anew; SIGUSR1 and the end print them too.
 * Faults are scripted per request, in a body field "kilotoken_script" or behind a '#' in the model's name,
 * as steps joined by ';' (times in milliseconds, tokens counted from 1):
 *   late=K:MS    token K comes MS late; what was due meanwhile comes with it, each event in a write of its own
 *   pause=K:MS   token K and everything after it come MS late
 *   stall=K      nothing comes after token K; the connection stays open
 *   chunk=K:N    tokens K..K+N-1 come in one event, when the last of them is due
 *   write=K:N    tokens K..K+N-1 come as N events in one write, when the last of them is due
 *   record       no fault
 * GET /written gives the instants at which the tokens of the last scripted answers were sent.
 * It passes for vLLM where that decides what a client sends (the owner of its model, counters at /metrics, a reset
 * of a prefix cache that it does not have).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL
#define BODY_LIMIT (64u << 20)
#define SCRIPTED_KEPT 64
#define MODEL_BYTES 96
#define CHUNK_LIMIT 2000 /* tokens in one event: its length fits four hexadecimal digits */

/* ---- settings ---------------------------------------------------------------------------------------- */

static int64_t ttft_ns = 50 * NS_PER_MS, interval_ns = 20 * NS_PER_MS;
static int tokens_per_chunk = 1, default_tokens = 50;
static const char *model_name = "exact", *scheduling = "default";

/* ---- clocks ------------------------------------------------------------------------------------------ */

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Kernel receive stamps are CLOCK_REALTIME: moved to CLOCK_MONOTONIC by the offset of this very moment. */
static int64_t monotonic_of(const struct timespec *real) {
    int64_t before = now_ns(), realtime = clock_ns(CLOCK_REALTIME), after = now_ns();
    return real->tv_sec * NS_PER_S + real->tv_nsec - realtime + before + (after - before) / 2;
}

/* ---- lateness histograms: 64 buckets per doubling, so at most 1.6 % wide -------------------------------- */

#define SUB_BITS 6
#define BUCKETS ((64 - SUB_BITS) << SUB_BITS)

typedef struct {
    uint64_t counts[BUCKETS], total;
    int64_t max_ns;
} Histogram;

static Histogram first_late, later_late;

static int bucket_of(int64_t value_ns) {
    uint64_t v = value_ns > 0 ? (uint64_t)value_ns : 0;
    if (v < (1u << SUB_BITS)) return (int)v;
    int shift = 63 - __builtin_clzll(v) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (int)((v >> shift) - (1u << SUB_BITS));
}

static int64_t bucket_top_ns(int bucket) {
    if (bucket < (1 << SUB_BITS)) return bucket;
    int shift = (bucket >> SUB_BITS) - 1;
    return ((((int64_t)bucket & ((1 << SUB_BITS) - 1)) + (1 << SUB_BITS) + 1) << shift) - 1;
}

static void histogram_add(Histogram *h, int64_t value_ns, int times) {
    h->counts[bucket_of(value_ns)] += times;
    h->total += times;
    if (value_ns > h->max_ns) h->max_ns = value_ns;
}

/* The upper edge of the bucket that holds the percentile, at most the maximum. */
static double percentile_ms(const Histogram *h, double share) {
    uint64_t rank = (uint64_t)(share * h->total + 0.999999), seen = 0;
    for (int b = 0; b < BUCKETS; b++) {
        seen += h->counts[b];
        if (seen >= rank && seen > 0) {
            int64_t top = bucket_top_ns(b);
            return (top < h->max_ns ? top : h->max_ns) / 1e6;
        }
    }
    return 0;
}

/* ---- connections ------------------------------------------------------------------------------------- */

typedef struct {
    int late_at, pause_at, stall_at, chunk_at, chunk_n, write_at, write_n; /* 0: not scripted */
    int64_t late_ns, pause_ns;
} Script;

typedef struct {
    uint64_t answer_id;
    int64_t received_ns;
    int count, capacity;
    int *tokens;        /* cumulative, per event */
    int64_t *written_ns; /* per event */
} Written;

typedef struct {
    int fd, heap_at;              /* heap_at -1: nothing is due */
    int64_t due_ns, started_ns;   /* of the next write; of the request */
    char *in;
    size_t in_len, in_cap;
    char *out;                    /* what the peer was too slow to take */
    size_t out_len, out_sent, out_cap;
    bool answering, streaming, chat, usage_at_end, usage_always, close_after;
    int max_tokens, prompt_tokens, next;   /* next: the first token of the next write, from 1 */
    uint64_t answer_id;
    char model[MODEL_BYTES];
    char head[256];               /* the constant beginning of every event */
    int head_len;
    bool scripted;
    Script script;
    Written *written;
} Conn;

static int epoll_fd, timer_fd, listen_fd, signal_fd;
static Conn **conns;
static int conns_cap;
static Written scripted[SCRIPTED_KEPT];
static uint64_t scripted_next;
static struct {
    uint64_t requests, answers, aborted, tokens, writes, blocked_writes, unstamped;
    int open, streams, peak_streams;
    int64_t since_ns;
    double cpu_s;
} total;
static struct {
    uint64_t prompt_tokens, first_tokens, tokens, steps;
} ever; /* vLLM's counters: no reset */

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void reset_totals(void) {
    int open = total.open, streams = total.streams;
    memset(&total, 0, sizeof total);
    memset(&first_late, 0, sizeof first_late);
    memset(&later_late, 0, sizeof later_late);
    total.open = open;
    total.streams = total.peak_streams = streams;
    total.since_ns = now_ns();
    total.cpu_s = cpu_s();
}

/* ---- the heap of deadlines --------------------------------------------------------------------------- */

static Conn **heap;
static int heap_len, heap_cap;

static void heap_put(int at, Conn *c) {
    heap[at] = c;
    c->heap_at = at;
}

static void heap_sift(int at) {
    Conn *c = heap[at];
    for (; at > 0 && heap[(at - 1) / 2]->due_ns > c->due_ns; at = (at - 1) / 2) heap_put(at, heap[(at - 1) / 2]);
    for (int child; (child = 2 * at + 1) < heap_len; at = child) {
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= c->due_ns) break;
        heap_put(at, heap[child]);
    }
    heap_put(at, c);
}

static void heap_remove(Conn *c) {
    int at = c->heap_at;
    if (at < 0) return;
    c->heap_at = -1;
    if (at == --heap_len) return;
    heap_put(at, heap[heap_len]);
    heap_sift(at);
}

static void heap_schedule(Conn *c, int64_t due_ns) {
    c->due_ns = due_ns;
    if (c->heap_at < 0) {
        if (heap_len == heap_cap) heap = realloc(heap, (heap_cap = heap_cap * 2 + 64) * sizeof *heap);
        heap_put(heap_len, c);
        heap_len++;
    }
    heap_sift(c->heap_at);
}

/* ---- sending ----------------------------------------------------------------------------------------- */

static void watch(Conn *c, bool writable) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (writable ? EPOLLOUT : 0), .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void stop_answer(Conn *c) {
    if (c->answering) total.streams--;
    c->answering = false;
    c->written = NULL;
    heap_remove(c);
}

static void close_conn(Conn *c) {
    if (c->answering) total.aborted++;
    stop_answer(c);
    close(c->fd);
    conns[c->fd] = NULL;
    free(c->in);
    free(c->out);
    free(c);
    total.open--;
}

/* Send or keep for later; false when the peer is gone. */
static bool send_all(Conn *c, const char *bytes, size_t length) {
    size_t sent = 0;
    if (c->out_len == c->out_sent) {
        ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
        sent = n > 0 ? (size_t)n : 0;
        if (sent == length) return true;
        c->out_len = c->out_sent = 0;
        watch(c, true);
    }
    total.blocked_writes++;
    if (c->out_len + length - sent > c->out_cap) {
        c->out_cap = (c->out_len + length - sent) * 2;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, bytes + sent, length - sent);
    c->out_len += length - sent;
    return true;
}

static bool has_kept(const Conn *c) { return c->out_sent < c->out_len; }

/* Send what was kept; false when the connection is over, which is also when its last answer was the last. */
static bool flush_kept(Conn *c) {
    while (has_kept(c)) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        c->out_sent += (size_t)n;
    }
    watch(c, false);
    return c->answering || !c->close_after;
}

#define JSON "application/json"

static bool send_page(Conn *c, const char *status, const char *type, const char *body) {
    size_t length = strlen(body);
    char *page = malloc(length + 256);
    int n = sprintf(page,
                    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, type,
                    length, c->close_after ? "Connection: close\r\n" : "", body);
    bool ok = send_all(c, page, (size_t)n);
    free(page);
    return ok;
}

/* ---- events of an answer ----------------------------------------------------------------------------- */

static char *buffer; /* where one write is put together */
static size_t buffer_len, buffer_cap;

static void need(size_t more) {
    if (buffer_len + more > buffer_cap) buffer = realloc(buffer, buffer_cap = (buffer_len + more) * 2);
}

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...) {
    va_list arguments;
    for (;;) {
        va_start(arguments, format);
        int n = vsnprintf(buffer + buffer_len, buffer_cap - buffer_len, format, arguments);
        va_end(arguments);
        if (buffer_len + (size_t)n < buffer_cap) {
            buffer_len += (size_t)n;
            return;
        }
        need((size_t)n + 1);
    }
}

static void add_bytes(const char *bytes, size_t length) {
    need(length);
    memcpy(buffer + buffer_len, bytes, length);
    buffer_len += length;
}

#define ADD(literal) add_bytes(literal, sizeof literal - 1)

static void add_number(int value) {
    char digits[12];
    int at = sizeof digits;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    add_bytes(digits + at, sizeof digits - (size_t)at);
}

/* One HTTP chunk holds one event: four hexadecimal digits are left open and filled in at its end. */
static size_t begin_event(Conn *c) {
    size_t at = buffer_len;
    ADD("0000\r\ndata: ");
    if (c != NULL) add_bytes(c->head, (size_t)c->head_len);
    return at;
}

static void end_event(size_t at) {
    ADD("\n\n\r\n");
    unsigned size = (unsigned)(buffer_len - at - 8);
    for (int i = 3; i >= 0; i--, size >>= 4) buffer[at + (size_t)i] = "0123456789abcdef"[size & 15];
}

static void add_usage(Conn *c, int tokens) {
    ADD(",\"usage\":{\"prompt_tokens\":");
    add_number(c->prompt_tokens);
    ADD(",\"total_tokens\":");
    add_number(c->prompt_tokens + tokens);
    ADD(",\"completion_tokens\":");
    add_number(tokens);
    ADD("}");
}

static void add_role_event(Conn *c) {
    size_t at = begin_event(c);
    ADD("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
        "\"finish_reason\":null}]");
    if (c->usage_always) add_usage(c, 0);
    ADD("}");
    end_event(at);
}

static void add_token_event(Conn *c, int first, int last) {
    size_t at = begin_event(c);
    if (c->chat) ADD("{\"index\":0,\"delta\":{\"content\":\"");
    else ADD("{\"index\":0,\"text\":\"");
    for (int k = first; k <= last; k++) ADD(" one");
    if (c->chat) ADD("\"},\"logprobs\":null,\"finish_reason\":");
    else ADD("\",\"logprobs\":null,\"finish_reason\":");
    if (last == c->max_tokens) ADD("\"length\",\"stop_reason\":null,\"token_ids\":null}]");
    else ADD("null,\"token_ids\":null}]");
    if (c->usage_always) add_usage(c, last);
    ADD("}");
    end_event(at);
}

static void add_end(Conn *c) {
    if (c->usage_at_end) {
        size_t at = begin_event(c);
        ADD("]");
        add_usage(c, c->max_tokens);
        ADD("}");
        end_event(at);
    }
    size_t at = begin_event(NULL);
    ADD("[DONE]");
    end_event(at);
    ADD("0\r\n\r\n");
}

/* ---- when what is due -------------------------------------------------------------------------------- */

static int64_t token_due_ns(const Conn *c, int token) {
    const Script *s = &c->script;
    int64_t due = c->started_ns + ttft_ns + (token - 1) * interval_ns;
    if (s->pause_at && token >= s->pause_at) due += s->pause_ns;
    if (s->late_at && token >= s->late_at) {
        int64_t late = c->started_ns + ttft_ns + (s->late_at - 1) * interval_ns + s->late_ns;
        if (late > due) due = late;
    }
    return due;
}

/* The last token of the write that begins with c->next; the first token always comes alone. */
static int write_end(const Conn *c) {
    const Script *s = &c->script;
    int n = c->next == 1 ? 1 : tokens_per_chunk;
    if (s->chunk_at == c->next) n = s->chunk_n;
    if (s->write_at == c->next) n = s->write_n;
    return c->next + n - 1 < c->max_tokens ? c->next + n - 1 : c->max_tokens;
}

static void schedule_next(Conn *c) {
    int last = c->streaming ? write_end(c) : c->max_tokens;
    if (c->script.stall_at && last > c->script.stall_at) {
        if (c->next > c->script.stall_at || !c->streaming) {
            heap_remove(c);
            return;
        }
    }
    heap_schedule(c, token_due_ns(c, last));
}

static void keep_written(Conn *c, int tokens, int64_t at_ns) {
    Written *w = c->written;
    if (w->count == w->capacity) {
        w->capacity = w->capacity * 2 + 64;
        w->tokens = realloc(w->tokens, (size_t)w->capacity * sizeof *w->tokens);
        w->written_ns = realloc(w->written_ns, (size_t)w->capacity * sizeof *w->written_ns);
    }
    w->tokens[w->count] = tokens;
    w->written_ns[w->count++] = at_ns;
}

static bool next_request(Conn *c, int64_t received_ns);

static bool finish_answer(Conn *c) {
    total.answers++;
    stop_answer(c);
    if (c->close_after) return has_kept(c);
    return c->in_len == 0 || next_request(c, now_ns()); /* a pipelined request starts when its turn comes */
}

static void count_tokens(const Conn *c, int first, int last, int events) {
    total.tokens += (uint64_t)(last - first + 1);
    ever.tokens += (uint64_t)(last - first + 1);
    ever.steps += (uint64_t)(first == 1 ? events - 1 : events);
    if (first > 1) return;
    ever.first_tokens++;
    ever.prompt_tokens += (uint64_t)c->prompt_tokens;
}

static bool send_whole(Conn *c) {
    buffer_len = 0;
    add_bytes(c->head, (size_t)c->head_len);
    ADD("{\"index\":0,");
    if (c->chat) ADD("\"message\":{\"role\":\"assistant\",\"content\":\"");
    else ADD("\"text\":\"");
    for (int k = 0; k < c->max_tokens; k++) ADD(" one");
    if (c->chat) ADD("\"}");
    else ADD("\"");
    ADD(",\"logprobs\":null,\"finish_reason\":\"length\"}]");
    add_usage(c, c->max_tokens);
    ADD("}\0");
    char *body = strdup(buffer);
    bool ok = send_page(c, "200 OK", JSON, body);
    free(body);
    count_tokens(c, 1, c->max_tokens, c->max_tokens);
    total.writes++;
    return ok && finish_answer(c);
}

/* Send the write that is due. False when the connection is over. */
static bool send_due(Conn *c) {
    if (!c->streaming) return send_whole(c);
    int first = c->next, last = write_end(c);
    bool apart = c->script.write_at == first;
    buffer_len = 0;
    if (first == 1 && c->chat) add_role_event(c);
    if (apart)
        for (int k = first; k <= last; k++) add_token_event(c, k, k);
    else add_token_event(c, first, last);
    int64_t at_ns = now_ns();
    histogram_add(first == 1 ? &first_late : &later_late, at_ns - c->due_ns, last - first + 1);
    bool ok = send_all(c, buffer, buffer_len);
    count_tokens(c, first, last, apart ? last - first + 1 : 1);
    total.writes++;
    if (c->written != NULL)
        for (int k = apart ? first : last; k <= last; k++) keep_written(c, k, at_ns);
    if (!ok) return false;
    c->next = last + 1;
    if (last < c->max_tokens) {
        schedule_next(c);
        return true;
    }
    buffer_len = 0;
    add_end(c); /* in a write of its own, as vLLM's server does */
    return send_all(c, buffer, buffer_len) && finish_answer(c);
}

static void send_all_due(void) {
    static int64_t armed_ns;
    while (heap_len > 0 && heap[0]->due_ns <= now_ns()) {
        Conn *c = heap[0];
        if (!send_due(c)) close_conn(c);
    }
    int64_t due = heap_len > 0 ? heap[0]->due_ns : 0;
    if (due == armed_ns && due != 0 && due > now_ns()) return;
    struct itimerspec when = {.it_value = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    armed_ns = due;
}

/* ---- reports ----------------------------------------------------------------------------------------- */

static void add_histogram(const char *name, const Histogram *h) {
    add(",\"%s\":{\"count\":%llu", name, (unsigned long long)h->total);
    if (h->total > 0)
        add(",\"p50\":%.6f,\"p99\":%.6f,\"max\":%.6f}", percentile_ms(h, 0.5), percentile_ms(h, 0.99),
            h->max_ns / 1e6);
    else add(",\"p50\":null,\"p99\":null,\"max\":null}");
}

static char *lateness_report(void) {
    buffer_len = 0;
    add("{\"ttft_ms\":%.6f,\"interval_ms\":%.6f,\"tokens_per_chunk\":%d,\"window_s\":%.6f,\"cpu_s\":%.6f",
        ttft_ns / 1e6, interval_ns / 1e6, tokens_per_chunk, (now_ns() - total.since_ns) / 1e9,
        cpu_s() - total.cpu_s);
    add(",\"requests\":%llu,\"answers\":%llu,\"aborted\":%llu,\"tokens\":%llu,\"writes\":%llu",
        (unsigned long long)total.requests, (unsigned long long)total.answers,
        (unsigned long long)total.aborted, (unsigned long long)total.tokens, (unsigned long long)total.writes);
    add(",\"blocked_writes\":%llu,\"unstamped_requests\":%llu,\"connections\":%d,\"peak_streams\":%d",
        (unsigned long long)total.blocked_writes, (unsigned long long)total.unstamped, total.open,
        total.peak_streams);
    add(",\"scheduling\":\"%s\"", scheduling);
    add_histogram("first_token_lateness_ms", &first_late);
    add_histogram("token_lateness_ms", &later_late);
    add("}");
    return strdup(buffer);
}

static char *written_report(void) {
    buffer_len = 0;
    add("[");
    uint64_t first = scripted_next > SCRIPTED_KEPT ? scripted_next - SCRIPTED_KEPT : 0;
    for (uint64_t i = first; i < scripted_next; i++) {
        const Written *w = &scripted[i % SCRIPTED_KEPT];
        add("%s{\"answer\":%llu,\"received_s\":%.9f,\"tokens\":[", i > first ? "," : "",
            (unsigned long long)w->answer_id, w->received_ns / 1e9);
        for (int k = 0; k < w->count; k++) add("%s%d", k ? "," : "", w->tokens[k]);
        add("],\"written_s\":[");
        for (int k = 0; k < w->count; k++) add("%s%.9f", k ? "," : "", w->written_ns[k] / 1e9);
        add("]}");
    }
    add("]");
    return strdup(buffer);
}

static char *metrics_page(void) {
    buffer_len = 0;
    add("vllm:prompt_tokens_total %llu\nvllm:generation_tokens_total %llu\n",
        (unsigned long long)ever.prompt_tokens, (unsigned long long)ever.tokens);
    add("vllm:time_to_first_token_seconds_count %llu\nvllm:inter_token_latency_seconds_count %llu\n",
        (unsigned long long)ever.first_tokens, (unsigned long long)ever.steps);
    add("vllm:num_requests_running %d\nvllm:num_requests_waiting 0\n", total.streams);
    return strdup(buffer);
}

static void print_report(void) {
    char *report = lateness_report();
    printf("%s\n", report);
    fflush(stdout);
    free(report);
}

/* ---- requests ---------------------------------------------------------------------------------------- */

/* What stands behind `"key":` in the body; a quoted key inside a string has a backslash before its end quote. */
static const char *json_value(const char *body, const char *key) {
    const char *at = strstr(body, key);
    if (at == NULL) return NULL;
    at += strlen(key);
    at += strspn(at, " \t\r\n");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " \t\r\n");
}

static int json_int(const char *body, const char *key, int otherwise) {
    const char *at = json_value(body, key);
    return at != NULL && *at >= '0' && *at <= '9' ? atoi(at) : otherwise;
}

static bool json_true(const char *body, const char *key) {
    const char *at = json_value(body, key);
    return at != NULL && strncmp(at, "true", 4) == 0;
}

static void json_text(const char *body, const char *key, char *text, size_t size) {
    const char *at = json_value(body, key);
    text[0] = 0;
    if (at == NULL || *at != '"') return;
    size_t length = strcspn(at + 1, "\"\\");
    snprintf(text, size, "%.*s", (int)length, at + 1);
}

static bool parse_script(char *text, Script *s) {
    memset(s, 0, sizeof *s);
    for (char *rest = NULL, *step = strtok_r(text, ";", &rest); step; step = strtok_r(NULL, ";", &rest)) {
        int at = 0;
        double amount = 0;
        if (strcmp(step, "record") == 0) continue;
        if (sscanf(step, "late=%d:%lf", &at, &amount) == 2) {
            s->late_at = at;
            s->late_ns = (int64_t)(amount * NS_PER_MS);
        } else if (sscanf(step, "pause=%d:%lf", &at, &amount) == 2) {
            s->pause_at = at;
            s->pause_ns = (int64_t)(amount * NS_PER_MS);
        } else if (sscanf(step, "chunk=%d:%lf", &at, &amount) == 2) {
            s->chunk_at = at;
            s->chunk_n = (int)amount;
        } else if (sscanf(step, "write=%d:%lf", &at, &amount) == 2) {
            s->write_at = at;
            s->write_n = (int)amount;
        } else if (sscanf(step, "stall=%d", &at) == 1) {
            s->stall_at = at;
            amount = 1;
        }
        if (at < 1 || amount <= 0 || (s->chunk_at == at && s->chunk_n > CHUNK_LIMIT)) return false;
    }
    return true;
}

static void begin_written(Conn *c) {
    c->written = &scripted[scripted_next % SCRIPTED_KEPT];
    for (int fd = 0; fd < conns_cap; fd++) /* the slot's former answer, if it still runs, is no longer kept */
        if (conns[fd] != NULL && conns[fd] != c && conns[fd]->written == c->written) conns[fd]->written = NULL;
    scripted_next++;
    c->written->answer_id = c->answer_id;
    c->written->received_ns = c->started_ns;
    c->written->count = 0;
}

static bool begin_answer(Conn *c, const char *path, const char *body, size_t length, int64_t received_ns) {
    static uint64_t answers_begun;
    char script[512], *mark;
    c->chat = strstr(path, "/chat/") != NULL;
    c->streaming = json_true(body, "\"stream\"");
    c->usage_at_end = json_true(body, "\"include_usage\"");
    c->usage_always = json_true(body, "\"continuous_usage_stats\"");
    c->max_tokens = json_int(body, "\"max_tokens\"", json_int(body, "\"max_completion_tokens\"", default_tokens));
    if (c->max_tokens < 1) c->max_tokens = 1;
    c->prompt_tokens = (int)(length / 4) + 1;
    json_text(body, "\"model\"", c->model, sizeof c->model);
    json_text(body, "\"kilotoken_script\"", script, sizeof script);
    if ((mark = strchr(c->model, '#')) != NULL) {
        if (!script[0]) snprintf(script, sizeof script, "%s", mark + 1);
        *mark = 0;
    }
    c->scripted = script[0] != 0;
    if (!parse_script(script, &c->script))
        return send_page(c, "400 Bad Request", JSON,
                         "{\"error\":{\"message\":\"the script is not late=K:MS, pause=K:MS, stall=K, chunk=K:N, "
                         "write=K:N or record, joined by ';'\",\"type\":\"BadRequestError\",\"code\":400}}");
    c->answer_id = ++answers_begun;
    c->head_len = snprintf(c->head, sizeof c->head,
                           "{\"id\":\"%s-%016llx\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\",\"choices\":[",
                           c->chat ? "chatcmpl" : "cmpl", (unsigned long long)c->answer_id,
                           !c->chat         ? "text_completion"
                           : c->streaming ? "chat.completion.chunk"
                                          : "chat.completion",
                           (long long)time(NULL), c->model[0] ? c->model : model_name);
    c->started_ns = received_ns;
    c->next = 1;
    c->answering = true;
    if (++total.streams > total.peak_streams) total.peak_streams = total.streams;
    if (c->scripted) begin_written(c);
    if (c->streaming) { /* the head goes out at once: vLLM's server does not wait for the first token either */
        buffer_len = 0;
        ADD("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n");
        if (c->close_after) ADD("Connection: close\r\n");
        ADD("\r\n");
        if (!send_all(c, buffer, buffer_len)) return false;
    }
    schedule_next(c);
    return true;
}

static bool answer_page(Conn *c, const char *method, const char *path) {
    char *page = NULL;
    const char *status = "200 OK", *type = JSON;
    if (strcmp(path, "/health") == 0) page = strdup("{}");
    else if (strcmp(path, "/reset_prefix_cache") == 0) page = strdup("{\"success\":true}");
    else if (strcmp(path, "/metrics") == 0) {
        page = metrics_page();
        type = "text/plain; version=0.0.4";
    } else if (strcmp(path, "/lateness") == 0) page = lateness_report();
    else if (strcmp(path, "/written") == 0) page = written_report();
    else if (strcmp(path, "/lateness/reset") == 0 && strcmp(method, "POST") == 0) {
        page = lateness_report();
        reset_totals();
    } else if (strcmp(path, "/v1/models") == 0) {
        if (asprintf(&page,
                     "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"created\":0,"
                     "\"owned_by\":\"vllm\",\"root\":\"%s\",\"parent\":null,\"max_model_len\":131072}]}",
                     model_name, model_name) < 0)
            return false;
    } else {
        page = strdup("{\"detail\":\"Not Found\"}");
        status = "404 Not Found";
    }
    bool ok = send_page(c, status, type, page);
    free(page);
    return ok && (!c->close_after || has_kept(c));
}

/* Begin the next request if it is complete. False when the connection is over. */
static bool next_request(Conn *c, int64_t received_ns) {
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (end == NULL) return c->in_len < (1u << 16);
    size_t head_len = (size_t)(end - c->in) + 4, length = 0;
    char method[8] = "", path[256] = "";
    *end = 0; /* the head as a string */
    const char *header = strcasestr(c->in, "\r\ncontent-length:");
    if (header != NULL) length = strtoul(header + 17, NULL, 10);
    header = strcasestr(c->in, "\r\nconnection:");
    c->close_after = header != NULL && strncasecmp(header + 13 + strspn(header + 13, " "), "close", 5) == 0;
    sscanf(c->in, "%7s %255s", method, path);
    *end = '\r';
    if (length > BODY_LIMIT) return false;
    if (c->in_len < head_len + length) return true;
    char kept = c->in[head_len + length]; /* there is always one byte more room than bytes */
    c->in[head_len + length] = 0;
    const char *body = c->in + head_len;
    bool asks = strcmp(method, "POST") == 0 &&
                (strcmp(path, "/v1/chat/completions") == 0 || strcmp(path, "/v1/completions") == 0);
    bool ok;
    if (asks) {
        total.requests++;
        ok = begin_answer(c, path, body, length, received_ns);
    } else ok = answer_page(c, method, path);
    c->in[head_len + length] = kept;
    c->in_len -= head_len + length;
    memmove(c->in, c->in + head_len + length, c->in_len);
    return ok && (c->answering || c->in_len == 0 || next_request(c, received_ns));
}

/* Read what there is. False when the connection is over. */
static bool read_request(Conn *c) {
    for (;;) {
        if (c->in_cap - c->in_len < 16384) c->in = realloc(c->in, c->in_cap = c->in_cap * 2 + 32768);
        char control[256];
        struct iovec data = {c->in + c->in_len, c->in_cap - c->in_len - 1};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t n = recvmsg(c->fd, &message, 0);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
        int64_t received_ns = 0;
        for (struct cmsghdr *m = CMSG_FIRSTHDR(&message); m != NULL; m = CMSG_NXTHDR(&message, m))
            if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMPING) {
                const struct timespec *stamp = (const struct timespec *)CMSG_DATA(m);
                if (stamp->tv_sec > 0) received_ns = monotonic_of(stamp);
            }
        if (received_ns == 0) {
            total.unstamped++;
            received_ns = now_ns();
        }
        c->in_len += (size_t)n;
        if (!c->answering && !next_request(c, received_ns)) return false;
        if ((size_t)n < data.iov_len) return true; /* epoll says when there is more */
    }
}

/* ---- the process ------------------------------------------------------------------------------------- */

static void accept_all(void) {
    int fd, on = 1;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (fd >= conns_cap) {
            int cap = fd * 2 + 64;
            conns = realloc(conns, (size_t)cap * sizeof *conns);
            memset(conns + conns_cap, 0, (size_t)(cap - conns_cap) * sizeof *conns);
            conns_cap = cap;
        }
        Conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->heap_at = -1;
        conns[fd] = c;
        total.open++;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void on_connection(uint32_t events, int fd) {
    Conn *c = conns[fd];
    if (c == NULL) return;
    bool ok = true;
    if (events & EPOLLOUT) ok = flush_kept(c);
    if (ok && (events & EPOLLIN)) ok = read_request(c);
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) ok = false;
    if (!ok) close_conn(c);
}

/* True when the process is to end. */
static bool on_signal(void) {
    struct signalfd_siginfo info;
    bool end = false;
    while (read(signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) print_report();
        else end = true;
    }
    return end;
}

/* Go before everything else where that is permitted (p99 0.05 ms late instead of 5 beside two busy loops, measured),
 * else ask for short time slices (Linux 6.12 on): a woken task with a nearer deadline goes first. */
static const char *scheduled_early(void) {
    struct sched_param first = {.sched_priority = 10};
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } short_slices = {.size = sizeof short_slices, .runtime_ns = 100000};
    if (sched_setscheduler(0, SCHED_FIFO, &first) == 0) return "real_time";
    return syscall(SYS_sched_setattr, 0, &short_slices, 0) == 0 ? "short_slices" : "default";
}

static void watch_fd(int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static int listen_on(int port) {
    int on = 1;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Connections inherit it. It stays on while this socket is open: the kernel needs a moment to begin stamping. */
    int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(listen_fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listen_fd, (struct sockaddr *)&address, size) != 0 || listen(listen_fd, 4096) != 0 ||
        getsockname(listen_fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    return ntohs(address.sin_port);
}

static void read_settings(int argc, char **argv, int *port) {
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0) *port = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--ttft-ms") == 0) ttft_ns = (int64_t)(atof(argv[i + 1]) * NS_PER_MS);
        else if (strcmp(argv[i], "--interval-ms") == 0) interval_ns = (int64_t)(atof(argv[i + 1]) * NS_PER_MS);
        else if (strcmp(argv[i], "--tokens-per-chunk") == 0) tokens_per_chunk = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--default-tokens") == 0) default_tokens = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--model") == 0) model_name = argv[i + 1];
        else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            exit(2);
        }
    }
    if (ttft_ns < 0 || interval_ns < 0 || tokens_per_chunk < 1 || tokens_per_chunk > CHUNK_LIMIT) {
        fprintf(stderr, "times are not negative, tokens per chunk are 1 to %d\n", CHUNK_LIMIT);
        exit(2);
    }
}

int main(int argc, char **argv) {
    int port = 0;
    read_settings(argc, argv, &port);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlive the process that measures */
    prctl(PR_SET_TIMERSLACK, 1UL);
    scheduling = scheduled_early();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    port = listen_on(port);
    if (port < 0) {
        fprintf(stderr, "cannot listen: %s\n", strerror(errno));
        return 1;
    }
    need(1 << 16);
    reset_totals();
    watch_fd(listen_fd, EPOLLIN);
    watch_fd(signal_fd, EPOLLIN);
    watch_fd(timer_fd, EPOLLIN | EPOLLET); /* edge-triggered: setting it anew replaces reading it */
    printf("{\"port\":%d}\n", port);
    fflush(stdout);
    for (bool end = false; !end;) {
        struct epoll_event ready[256];
        int n = epoll_wait(epoll_fd, ready, 256, -1);
        bool newcomers = false;
        send_all_due(); /* tokens before everything else */
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listen_fd) newcomers = true;
            else if (fd == signal_fd) end = on_signal();
            else if (fd != timer_fd) on_connection(ready[i].events, fd);
        }
        if (newcomers) accept_all(); /* last: a new connection may get the number of one that just closed */
        send_all_due();
    }
    print_report();
    return 0;
}
