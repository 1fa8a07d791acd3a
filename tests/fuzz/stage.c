/* tests/fuzz/stage.c - the stand-ins: what they promise in ctl/ headers, without processes. */
#include "tests/fuzz/stage.h"

#include "ctl/load.h"
#include "ctl/runtime.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUESTIONS_MAX = 32, TOUCHED_MAX = 64, ANSWER_BYTES = 64 };

static struct cluster cluster;
static struct supervisor supervisor;
static struct {
    struct question *question;
    enum message_kind kind;
} questions[QUESTIONS_MAX];
static uint32_t question_count;
static struct {
    void *part;
    size_t bytes;
} touched[TOUCHED_MAX];
static size_t touched_count;
static struct sockaddr_un address;
static socklen_t address_bytes;

struct supervisor *stage_open(void)
{
    if (cluster.region == NULL) {
        struct region_config config = { .peers = STAGE_PEERS,
                                        .clients = STAGE_CLIENTS,
                                        .ring_bytes = 4096,
                                        .seed = 7,
                                        .name = "stage",
                                        .election_min_ns = 150 * NS_PER_MS };
        CHECK(region_create(&config, &cluster.region) == ERR_OK);
    }
    for (size_t i = 0; i < touched_count; i++) memset(touched[i].part, 0, touched[i].bytes);
    touched_count = 0;
    cluster = (struct cluster){ .config = { .name = "stage",
                                            .peers = STAGE_PEERS,
                                            .clients = STAGE_CLIENTS,
                                            .seed = 7,
                                            .preset = &presets[0] },
                                .region = cluster.region };
    rng_seed(&cluster.rng, 7, 0, 0);
    clock_start(region_clock(cluster.region), real_now_ns(), PPM);
    for (uint32_t id = 1; id <= STAGE_PEERS; id++) {
        struct board board = { .life = 1, .role = id == 1 ? LEADER : FOLLOWER, .term = 1 };
        cluster.children[id] = (struct child){ .pid = (pid_t)id, .pidfd = -1, .starts = 1 };
        latch_write(region_board(cluster.region, id), &board, BOARD_WORDS);
    }
    supervisor = (struct supervisor){ .cluster = &cluster };
    supervisor.config.cluster = cluster.config;
    question_count = 0;
    return &supervisor;
}

void stage_poke(void *part, size_t bytes, size_t offset, const void *from, size_t length)
{
    size_t i = 0;
    while (i < touched_count && touched[i].part != part) i++;
    if (i == TOUCHED_MAX) return;
    touched[i].part = part;
    touched[i].bytes = bytes;
    touched_count = MAX_OF(touched_count, i + 1);
    offset %= bytes;
    if (length > 0) memcpy((uint8_t *)part + offset, from, MIN_OF(length, bytes - offset));
}

/* ---- ctl/client.h ---- */

static bool ask(struct question *question, enum message_kind kind)
{
    if (question_count == QUESTIONS_MAX) return false;
    questions[question_count].question = question;
    questions[question_count++].kind = kind;
    return true;
}

bool client_submit(struct client *client, const struct kv_command *command, void *tag)
{
    static uint8_t encoded[4 << 20];
    UNUSED(client);
    size_t bytes = kv_encoded_bytes(command);
    CHECK(bytes <= sizeof(encoded));
    CHECK(kv_encode(command, encoded, sizeof(encoded)) == bytes);
    return ask(tag, MESSAGE_CLIENT_REQUEST);
}

bool client_ask(struct client *client, uint32_t peer, enum message_kind kind, const uint8_t *body,
                size_t bytes, uint64_t index, uint64_t within_ns, bool answered, void *tag)
{
    UNUSED(client);
    UNUSED(index);
    UNUSED(within_ns);
    CHECK(peer >= 1);
    CHECK(peer <= STAGE_PEERS);
    CHECK(bytes <= ENTRY_BYTES_MAX);
    CHECK((body == NULL) == (bytes == 0));
    return !answered || ask(tag, kind);
}

uint32_t stage_questions(void)
{
    return question_count;
}

/* Bytes that a log may hold: text, or anything. */
void stage_answer(uint8_t how)
{
    static const uint8_t odd[ANSWER_BYTES] = { 1, 0, 0, 0, 0xff, 0xc3, 0x28, '"', '\\', 0x7f };
    struct entry entries[] = {
        { 1, ENTRY_NOOP, 0, NULL },
        { 1, ENTRY_OPAQUE, 1 + how % ANSWER_BYTES, odd },
        { 2, ENTRY_COMMAND, how % ANSWER_BYTES, odd },
    };
    struct packet packet = { .entries = entries, .body = odd };
    struct client_result result = { .status = how % 3, .reply = how / 3, .packet = &packet };
    CHECK(question_count > 0);
    packet.frame.flag = how & 8;
    packet.frame.from = 1 + how % STAGE_PEERS;
    packet.frame.client.index = how;
    if (questions[0].kind == MESSAGE_APPLIED_QUERY) packet.frame.count = how % 4;
    else packet.frame.body_bytes = how % ANSWER_BYTES;
    result.timed_out = result.status != RESULT_OK && how & 16;
    if (result.status == RESULT_UNKNOWN) result.packet = NULL;
    struct question *question = questions[0].question;
    memmove(questions, questions + 1, --question_count * sizeof(questions[0]));
    question->done(question, &result);
}

/* ---- ctl/cluster.h ---- */

bool cluster_alive(const struct cluster *c, uint32_t peer)
{
    CHECK(peer >= 1);
    CHECK(peer <= c->config.peers);
    return c->children[peer].pid != 0;
}

bool cluster_board(const struct cluster *c, uint32_t peer, struct board *board)
{
    struct latch *latch = region_board(c->region, peer);
    return latch_version(latch) != 0 && latch_read(latch, board, BOARD_WORDS, NULL);
}

bool cluster_has_spoken(const struct cluster *c, uint32_t peer)
{
    return cluster_alive(c, peer) && c->children[peer].starts < 2;
}

uint64_t cluster_now_ns(const struct cluster *c)
{
    struct clock_face face;
    CHECK(clock_read(region_clock(c->region), &face));
    return clock_at(&face, real_now_ns());
}

void cluster_view(const struct cluster *c, struct cluster_view *view)
{
    *view = (struct cluster_view){ .peers = c->config.peers };
    for (uint32_t id = 1; id <= c->config.peers; id++)
        if (cluster_alive(c, id)) view->alive |= peer_bit(id);
    if (peer_in(view->alive, 1)) view->leader = 1;
}

err_t cluster_kill(struct cluster *c, uint32_t peer)
{
    if (!cluster_alive(c, peer)) return err_begin(ERR_DOWN, "peer %u is dead already", peer);
    c->children[peer].pid = 0;
    c->children[peer].paused = false;
    return ERR_OK;
}

err_t cluster_pause(struct cluster *c, uint32_t peer)
{
    if (!cluster_alive(c, peer)) return err_begin(ERR_DOWN, "peer %u is dead", peer);
    c->children[peer].paused = true;
    return ERR_OK;
}

err_t cluster_resume(struct cluster *c, uint32_t peer)
{
    if (!c->children[peer].paused) return err_begin(ERR_DOWN, "peer %u is not paused", peer);
    c->children[peer].paused = false;
    return ERR_OK;
}

err_t cluster_restart(struct cluster *c, uint32_t peer)
{
    if (cluster_alive(c, peer)) return err_begin(ERR_DOWN, "peer %u is running", peer);
    c->children[peer].pid = (pid_t)peer;
    c->children[peer].starts++;
    return ERR_OK;
}

void cluster_publish_links(struct cluster *c)
{
    UNUSED(c);
}

void cluster_publish_orders(struct cluster *c, uint32_t peer)
{
    UNUSED(c);
    CHECK(peer <= STAGE_PEERS);
}

void cluster_publish_facts(struct cluster *c)
{
    UNUSED(c);
}

void cluster_note(struct cluster *c, enum note_kind kind, uint32_t other, uint64_t a, uint64_t b)
{
    UNUSED(c);
    UNUSED(kind);
    UNUSED(other);
    UNUSED(a);
    UNUSED(b);
}

void cluster_ring_all(struct cluster *c)
{
    UNUSED(c);
}

/* ---- ctl/load.h ---- */

err_t load_start(struct cluster *c, const struct command *command, struct load **load)
{
    UNUSED(load);
    if (command->load.clients > c->config.clients)
        return err_begin(ERR_INPUT, "%u clients are too many", command->load.clients);
    return ERR_OK;
}

void load_finish(struct load *load)
{
    UNUSED(load);
}

/* ---- ctl/runtime.h: a socket without a name in the file system ---- */

err_t runtime_listen(const char *name, struct runtime *runtime)
{
    UNUSED(name);
    *runtime = (struct runtime){ .lock_fd = -1 };
    runtime->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(runtime->listen_fd >= 0);
    address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    address_bytes = sizeof(address);
    CHECK(bind(runtime->listen_fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    CHECK(listen(runtime->listen_fd, 1) == 0);
    CHECK(getsockname(runtime->listen_fd, (struct sockaddr *)&address, &address_bytes) == 0);
    return ERR_OK;
}

void runtime_leave(const char *name, const struct runtime *runtime)
{
    UNUSED(name);
    close(runtime->listen_fd);
}

int stage_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, address_bytes) == 0);
    return fd;
}
