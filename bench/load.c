/* A closed-loop HTTP/1.1 load generator: every connection sends a request, waits for the whole answer, and sends the next.
 *
 *     load --port 8080 --connections 64 --seconds 5 [--warm-up 1] [--cycles N] [--rate N] [--range N] \
 *          [--header 'Name: value'] [--set name=value] script
 *
 * One thread, epoll, keep-alive. A script is a list of steps that each connection runs again and again:
 *
 *     send 201                                        a name and the status that is expected
 *         POST /v1/queues/$queue/messages             method and target
 *         body {"body":"$payload"}                    optional
 *     receive 200
 *         POST /v1/queues/$queue/messages/receive
 *         take receipt "receipt":"                    every text between this mark and the next double quote
 *     delete 200
 *         POST /v1/receipts/batch
 *         body {"items":[$[{"receipt":"$receipt","action":"delete"}$]]}
 *
 * A step may also have lines "header Name: value", beside the --header that all steps share.
 *
 * $name stands for what --set or take gave it; $n for a number that no other cycle has; $random for a number below --range
 * that stays the same for one cycle. What stands between $[ and $] is repeated, joined by commas, for each value taken.
 *
 * With --rate no more than that many cycles begin in a second, as far as there are connections to begin them.
 *
 * A cycle counts when every step answered as expected. A step that should take something and finds nothing counts as
 * "empty" and is asked again. An unexpected status ends the cycle, and the next one begins. At the end of the time no cycle
 * begins, and the ones under way are let finish, so that nothing is left leased behind.
 *
 * It prints one JSON object; times are in microseconds. Look at "unexpected", "empty" and "broken" before quoting a rate.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_STEPS = 8,
    MAX_PIECES = 128,
    MAX_NAMES = 32,
    MAX_VALUES = 1024,
    MAX_SECONDS = 3600,
    READ_SIZE = 64 * 1024,
    PATIENCE_SECONDS = 10, /* for cycles under way when the time is over */
    MAX_BROKEN = 1000,
};

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(2);
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- text that grows -------------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t length, room;
};

static void reserve(struct text *text, size_t more)
{
    if (text->length + more + 1 <= text->room)
        return;
    text->room = 2 * (text->length + more + 1);
    text->at = realloc(text->at, text->room);
    if (!text->at)
        fail("out of memory");
}

static void append(struct text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    memcpy(text->at + text->length, bytes, length);
    text->length += length;
    text->at[text->length] = 0;
}

static void append_number(struct text *text, uint64_t number)
{
    char digits[24];
    append(text, digits, (size_t)sprintf(digits, "%llu", (unsigned long long)number));
}

/* ---- latencies -------------------------------------------------------------------------------------------------------- */

/* Buckets as wide as 1/128 of what they hold: percentiles are right to 0.8 %, and a run of any length takes the same room. */
enum { FINE_BITS = 7, FINE = 1 << FINE_BITS, BUCKETS = (64 - FINE_BITS + 1) * FINE };

struct latencies {
    uint64_t count, greatest, bucket[BUCKETS];
};

static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * FINE)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - FINE_BITS;
    return shift * FINE + (unsigned)(value >> shift);
}

static uint64_t value_of(unsigned bucket)
{
    if (bucket < 2 * FINE)
        return bucket;
    unsigned shift = bucket / FINE - 1;
    return (uint64_t)(bucket % FINE + FINE) << shift;
}

static void record(struct latencies *latencies, uint64_t value)
{
    latencies->count++;
    latencies->bucket[bucket_of(value)]++;
    if (value > latencies->greatest)
        latencies->greatest = value;
}

static double percentile(const struct latencies *latencies, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)latencies->count), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += latencies->bucket[bucket];
        if (seen > wanted)
            return (double)value_of(bucket) / 1000;
    }
    return (double)latencies->greatest / 1000;
}

/* ---- the script ------------------------------------------------------------------------------------------------------- */

enum kind { LITERAL, CYCLE_NUMBER, RANDOM_NUMBER, TAKEN, REPEAT, END_REPEAT };

struct piece {
    enum kind kind;
    struct text literal;
    int name; /* TAKEN: what to put here; REPEAT: what to count by */
};

struct template {
    struct piece pieces[MAX_PIECES];
    int count;
};

struct step {
    char *name;
    int expected;
    struct template target, body;
    struct text headers;
    int taken; /* name that receives what is taken, or -1 */
    char *mark;
    struct latencies latencies;
    uint64_t unexpected, empty, values;
    bool explained; /* the first unexpected answer goes to stderr, the others are only counted */
};

static struct step steps[MAX_STEPS];
static int step_count;

static struct {
    char *name;
    char *value; /* from --set; null: taken from answers */
} names[MAX_NAMES];
static int name_count;

static struct text headers;

static int name_index(const char *name, size_t length)
{
    for (int index = 0; index < name_count; index++)
        if (strlen(names[index].name) == length && !memcmp(names[index].name, name, length))
            return index;
    if (name_count == MAX_NAMES)
        fail("more than %d names", MAX_NAMES);
    names[name_count].name = strndup(name, length);
    return name_count++;
}

static struct piece *add_piece(struct template *template, enum kind kind)
{
    if (template->count == MAX_PIECES)
        fail("more than %d pieces in a template", MAX_PIECES);
    struct piece *piece = &template->pieces[template->count++];
    piece->kind = kind;
    return piece;
}

static void add_literal(struct template *template, const char *bytes, size_t length)
{
    struct piece *last = template->count ? &template->pieces[template->count - 1] : NULL;
    if (!last || last->kind != LITERAL)
        last = add_piece(template, LITERAL);
    append(&last->literal, bytes, length);
}

static void add_name(struct template *template, const char *name, size_t length)
{
    if (length == 1 && *name == 'n') {
        add_piece(template, CYCLE_NUMBER);
    } else if (length == 6 && !memcmp(name, "random", 6)) {
        add_piece(template, RANDOM_NUMBER);
    } else {
        int index = name_index(name, length);
        if (names[index].value)
            add_literal(template, names[index].value, strlen(names[index].value));
        else
            add_piece(template, TAKEN)->name = index;
    }
}

static void compile(struct template *template, const char *source)
{
    int repeat = -1;
    for (const char *at = source; *at;) {
        size_t plain = strcspn(at, "$");
        if (plain)
            add_literal(template, at, plain);
        at += plain;
        if (!*at)
            break;
        if (at[1] == '[') {
            repeat = template->count;
            add_piece(template, REPEAT)->name = -1;
            at += 2;
        } else if (at[1] == ']') {
            add_piece(template, END_REPEAT);
            repeat = -1;
            at += 2;
        } else {
            size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
            add_name(template, at + 1, length);
            struct piece *piece = &template->pieces[template->count - 1];
            if (repeat >= 0 && piece->kind == TAKEN)
                template->pieces[repeat].name = piece->name;
            at += 1 + length;
        }
    }
    if (repeat >= 0)
        fail("$[ without $]");
}

static void read_step_line(struct step *step, char *line)
{
    if (!strncmp(line, "body ", 5)) {
        compile(&step->body, line + 5);
    } else if (!strncmp(line, "header ", 7)) {
        append(&step->headers, line + 7, strlen(line + 7));
        append(&step->headers, "\r\n", 2);
    } else if (!strncmp(line, "take ", 5)) {
        size_t length = strcspn(line + 5, " ");
        step->taken = name_index(line + 5, length);
        step->mark = strdup(line + 5 + length + 1);
    } else {
        compile(&step->target, line);
    }
}

static void read_script(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail("%s: %s", path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; (length = getline(&line, &room, file)) > 0;) {
        line[strcspn(line, "\n")] = 0;
        char *start = line + strspn(line, " ");
        if (!*start)
            continue;
        if (start > line) {
            if (!step_count)
                fail("%s: a script begins with a step's name", path);
            read_step_line(&steps[step_count - 1], start);
            continue;
        }
        if (step_count == MAX_STEPS)
            fail("more than %d steps", MAX_STEPS);
        struct step *step = &steps[step_count++];
        size_t name = strcspn(line, " ");
        step->name = strndup(line, name);
        step->expected = atoi(line + name);
        step->taken = -1;
    }
    if (!step_count)
        fail("%s: no steps", path);
    free(line);
    fclose(file);
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

struct values {
    struct text text; /* one after the other */
    size_t end[MAX_VALUES];
    int count;
};

struct connection {
    int socket, step;
    bool busy, resting;
    struct text request, answer;
    size_t sent;
    struct values *values; /* one for each name */
    uint64_t cycle, random, cycle_began, step_began;
};

static struct sockaddr_in address;
static int poller, connection_count = 1;
static struct connection *connections;
static uint64_t cycles_begun, cycles_wanted, range = 1, broken, reconnected;
static uint64_t cycles_done, per_second[MAX_SECONDS];
static struct latencies cycle_latencies;
static uint64_t measuring_since, deadline;
static int busy_count, resting_count;
static double rate; /* cycles a second; 0: as many as can be */
static uint64_t pacing_since;

static uint64_t next_random(void)
{
    /* splitmix64: the same numbers in every run, so that two runs ask the same of two servers. */
    static uint64_t state = 1;
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void open_connection(struct connection *connection)
{
    int one = 1;
    connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->socket < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->socket, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->socket, &event);
}

static void reopen(struct connection *connection)
{
    close(connection->socket);
    reconnected++;
    open_connection(connection);
}

static void append_value(struct text *out, const struct values *values, int index)
{
    if (index >= values->count)
        return;
    size_t start = index ? values->end[index - 1] : 0;
    append(out, values->text.at + start, values->end[index] - start);
}

static void render(struct text *out, const struct connection *connection, const struct template *template)
{
    int repeat = -1, round = 0;
    for (int index = 0; index < template->count; index++) {
        const struct piece *piece = &template->pieces[index];
        switch (piece->kind) {
        case LITERAL:
            append(out, piece->literal.at, piece->literal.length);
            break;
        case CYCLE_NUMBER:
            append_number(out, connection->cycle);
            break;
        case RANDOM_NUMBER:
            append_number(out, connection->random);
            break;
        case TAKEN:
            append_value(out, &connection->values[piece->name], round);
            break;
        case REPEAT:
            repeat = index;
            round = 0;
            break;
        case END_REPEAT:
            if (++round < connection->values[template->pieces[repeat].name].count) {
                append(out, ",", 1);
                index = repeat;
            } else {
                round = 0;
            }
            break;
        }
    }
}

static void write_on(struct connection *connection)
{
    while (connection->sent < connection->request.length) {
        ssize_t count = send(connection->socket, connection->request.at + connection->sent,
                             connection->request.length - connection->sent, MSG_NOSIGNAL);
        if (count < 0)
            return; /* full or not yet connected: epoll comes back; broken: the read that follows says so */
        connection->sent += (size_t)count;
    }
}

static void begin_step(struct connection *connection)
{
    static struct text body;
    const struct step *step = &steps[connection->step];
    struct text *request = &connection->request;
    body.length = request->length = connection->answer.length = 0;
    connection->sent = 0;
    render(&body, connection, &step->body);
    render(request, connection, &step->target);
    append(request, " HTTP/1.1\r\n", 11);
    append(request, headers.at, headers.length);
    if (step->headers.length)
        append(request, step->headers.at, step->headers.length);
    append(request, "Content-Length: ", 16);
    append_number(request, body.length);
    append(request, "\r\n\r\n", 4);
    if (body.length)
        append(request, body.at, body.length);
    connection->step_began = nanoseconds();
    write_on(connection);
}

static void begin_cycle(struct connection *connection)
{
    if (connection->busy)
        busy_count--;
    connection->busy = false;
    uint64_t now = nanoseconds();
    if (now >= deadline || (cycles_wanted && cycles_begun >= cycles_wanted))
        return;
    connection->resting = rate > 0 && now < pacing_since + (uint64_t)((double)cycles_begun / rate * 1e9);
    if (connection->resting) {
        resting_count++;
        return;
    }
    connection->busy = true;
    busy_count++;
    connection->cycle = cycles_begun++;
    connection->random = next_random() % range;
    connection->step = 0;
    connection->cycle_began = nanoseconds();
    begin_step(connection);
}

/* Let those begin whose turn has come. */
static void wake_resting(void)
{
    for (int index = 0; resting_count && index < connection_count; index++) {
        if (!connections[index].resting)
            continue;
        resting_count--;
        connections[index].resting = false;
        begin_cycle(&connections[index]);
    }
}

static void end_cycle(struct connection *connection)
{
    uint64_t now = nanoseconds();
    if (now < deadline) {
        cycles_done++;
        record(&cycle_latencies, now - connection->cycle_began);
        uint64_t second = (now - measuring_since) / 1000000000u;
        if (second < MAX_SECONDS)
            per_second[second]++;
    }
    begin_cycle(connection);
}

static void take(struct values *values, const char *mark, const char *body, size_t length)
{
    size_t mark_length = strlen(mark);
    const char *end = body + length;
    values->count = 0;
    values->text.length = 0;
    for (const char *at = body; values->count < MAX_VALUES && (at = memmem(at, (size_t)(end - at), mark, mark_length));) {
        at += mark_length;
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote)
            return;
        append(&values->text, at, (size_t)(quote - at));
        values->end[values->count++] = values->text.length;
        at = quote;
    }
}

static void explain(struct step *step, const struct connection *connection, int status, const char *body, size_t length)
{
    if (step->explained)
        return;
    step->explained = true;
    fprintf(stderr, "load: %s answered %d, not %d: %.*s\n  to %.*s\n", step->name, status, step->expected,
            (int)(length < 400 ? length : 400), body, (int)strcspn(connection->request.at, "\r"), connection->request.at);
}

static void finish_step(struct connection *connection, int status, const char *body, size_t length)
{
    struct step *step = &steps[connection->step];
    uint64_t now = nanoseconds();
    if (now < deadline)
        record(&step->latencies, now - connection->step_began);
    if (status != step->expected) {
        step->unexpected++;
        explain(step, connection, status, body, length);
        begin_cycle(connection);
        return;
    }
    if (step->taken >= 0) {
        struct values *values = &connection->values[step->taken];
        take(values, step->mark, body, length);
        if (now < deadline)
            step->values += (uint64_t)values->count;
        if (!values->count) {
            step->empty++;
            if (now < deadline + PATIENCE_SECONDS * 1000000000ull / 2)
                begin_step(connection);
            else
                begin_cycle(connection);
            return;
        }
    }
    if (++connection->step < step_count)
        begin_step(connection);
    else
        end_cycle(connection);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

struct answer {
    int status;
    const char *body;
    size_t length;
    bool last; /* the server closes the connection after it */
};

/* The value of a header in a head that ends with an empty line, or null. */
static const char *header(const char *head, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line && line + 1 + length < end;
         line = memchr(line + 1, '\n', (size_t)(end - line - 1)))
        if (!strncasecmp(line + 1, name, length) && line[1 + length] == ':')
            return line + 2 + length + strspn(line + 2 + length, " ");
    return NULL;
}

/* Whether the answer is complete; fills it if so. */
static bool read_answer(const struct connection *connection, bool ended, struct answer *answer)
{
    const char *head = connection->answer.at;
    size_t length = connection->answer.length;
    const char *end = length > 12 ? memmem(head, length, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    end += 4;
    answer->status = atoi(head + 9);
    const char *persistence = header(head, end, "connection");
    answer->last = !memcmp(head, "HTTP/1.0", 8) || (persistence && !strncasecmp(persistence, "close", 5));
    const char *declared = header(head, end, "content-length");
    size_t received = length - (size_t)(end - head);
    answer->body = end;
    if (header(head, end, "transfer-encoding"))
        fail("%s: chunked answers are not read", steps[connection->step].name);
    if (declared || answer->status == 204) {
        answer->length = declared ? strtoul(declared, NULL, 10) : 0;
        return received >= answer->length;
    }
    answer->length = received;
    answer->last = true;
    return ended;
}

static bool read_all(struct connection *connection)
{
    struct text *answer = &connection->answer;
    for (;;) {
        reserve(answer, READ_SIZE);
        ssize_t count = recv(connection->socket, answer->at + answer->length, answer->room - answer->length - 1, 0);
        if (count <= 0)
            return count == 0 || (errno != EAGAIN && errno != ENOTCONN);
        answer->length += (size_t)count;
        answer->at[answer->length] = 0;
        /* A read that was not filled emptied the socket; whatever comes later is a new event. */
        if (answer->length + 1 < answer->room)
            return false;
    }
}

static void lose(struct connection *connection)
{
    if (++broken > MAX_BROKEN)
        fail("more than %d connections ended before an answer", MAX_BROKEN);
    reopen(connection);
    begin_cycle(connection);
}

static void handle(struct connection *connection, uint32_t events)
{
    if (connection->busy)
        write_on(connection);
    bool hung_up = events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP);
    bool ended = false;
    if (events & EPOLLIN || hung_up)
        ended = read_all(connection) || hung_up;
    struct answer answer;
    if (connection->busy && connection->answer.length && read_answer(connection, ended, &answer)) {
        if (answer.last || ended)
            reopen(connection);
        finish_step(connection, answer.status, answer.body, answer.length);
    } else if (ended && connection->busy) {
        lose(connection);
    } else if (ended) {
        epoll_ctl(poller, EPOLL_CTL_DEL, connection->socket, NULL);
    }
}

/* ---- running and reporting -------------------------------------------------------------------------------------------- */

static void forget_warm_up(void)
{
    memset(&cycle_latencies, 0, sizeof cycle_latencies);
    memset(per_second, 0, sizeof per_second);
    cycles_done = broken = reconnected = 0;
    for (int index = 0; index < step_count; index++) {
        struct step *step = &steps[index];
        memset(&step->latencies, 0, sizeof step->latencies);
        step->unexpected = step->empty = step->values = 0;
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_latencies(const struct latencies *latencies)
{
    printf("\"count\":%llu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f", (unsigned long long)latencies->count,
           percentile(latencies, 0.50), percentile(latencies, 0.99), (double)latencies->greatest / 1000);
}

static void report(double seconds, double cpu)
{
    printf("{\"connections\":%d,\"seconds\":%.3f,\"cycles\":%llu,\"rate\":%.1f,\"client_cpu\":%.2f,\"broken\":%llu,"
           "\"reconnected\":%llu,\"cycle\":{",
           connection_count, seconds, (unsigned long long)cycles_done, (double)cycles_done / seconds, cpu / seconds,
           (unsigned long long)broken, (unsigned long long)reconnected);
    print_latencies(&cycle_latencies);
    printf("},\"steps\":{");
    for (int index = 0; index < step_count; index++) {
        const struct step *step = &steps[index];
        printf("%s\"%s\":{", index ? "," : "", step->name);
        print_latencies(&step->latencies);
        printf(",\"unexpected\":%llu,\"empty\":%llu,\"values\":%llu}", (unsigned long long)step->unexpected,
               (unsigned long long)step->empty, (unsigned long long)step->values);
    }
    printf("},\"per_second\":[");
    for (uint64_t second = 0; second < MAX_SECONDS && second < (uint64_t)(seconds + 0.5); second++)
        printf("%s%llu", second ? "," : "", (unsigned long long)per_second[second]);
    printf("]}\n");
}

static void run(double warm_up, double seconds)
{
    struct epoll_event events[256];
    uint64_t began = pacing_since = nanoseconds();
    bool warming = warm_up > 0;
    measuring_since = began + (uint64_t)(warm_up * 1e9);
    deadline = measuring_since + (uint64_t)(seconds * 1e9);
    double cpu = cpu_seconds();
    if (warming)
        measuring_since = began;
    for (int index = 0; index < connection_count; index++)
        begin_cycle(&connections[index]);
    uint64_t now = began;
    while ((busy_count || resting_count) && now < deadline + PATIENCE_SECONDS * 1000000000ull) {
        int count = epoll_wait(poller, events, 256, resting_count ? 1 : 100);
        now = nanoseconds();
        if (warming && now >= began + (uint64_t)(warm_up * 1e9)) {
            warming = false;
            forget_warm_up();
            measuring_since = now;
            cpu = cpu_seconds();
        }
        for (int index = 0; index < count; index++)
            handle(events[index].data.ptr, events[index].events);
        wake_resting();
    }
    uint64_t until = now < deadline ? now : deadline;
    report((double)(until - measuring_since) / 1e9, cpu_seconds() - cpu);
}

static void define(char *assignment)
{
    char *equals = strchr(assignment, '=');
    if (!equals)
        fail("--set wants name=value");
    names[name_index(assignment, (size_t)(equals - assignment))].value = equals + 1;
}

static void open_connections(int port)
{
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)connection_count, sizeof *connections);
    for (int index = 0; index < connection_count; index++) {
        connections[index].values = calloc((size_t)name_count + 1, sizeof(struct values));
        open_connection(&connections[index]);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},  {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'}, {"warm-up", required_argument, NULL, 'w'},
        {"cycles", required_argument, NULL, 'n'}, {"range", required_argument, NULL, 'r'},
        {"header", required_argument, NULL, 'h'}, {"set", required_argument, NULL, 'd'},
        {"rate", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int port = 0;
    double seconds = 5, warm_up = 0;
    append(&headers, "Host: 127.0.0.1\r\n", 17);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connection_count = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'n': cycles_wanted = strtoull(optarg, NULL, 10); break;
        case 'r': range = strtoull(optarg, NULL, 10); break;
        case 't': rate = atof(optarg); break;
        case 'h': append(&headers, optarg, strlen(optarg)); append(&headers, "\r\n", 2); break;
        case 'd': define(optarg); break;
        default: fail("see the first lines of load.c for the options");
        }
    }
    if (!port || connection_count < 1 || seconds > MAX_SECONDS || !range || optind + 1 != argc)
        fail("see the first lines of load.c for the options");
    read_script(argv[optind]);
    open_connections(port);
    run(warm_up, seconds);
    return 0;
}
