/* shm/region.c - the layout, computed from the configuration by one function for creator and
 * attacher alike, and the mapping. Nothing but the header is touched at creation: fresh memory is
 * zero, and zero is an empty ring, an unwritten latch, an awake bell. So 63 peers with their tens
 * of GiB of rings cost only the pages that are used. */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define REGION_MAGIC 0x45444953474e4952ull /* "RINGSIDE" */
#define REGION_VERSION 1u
#define PAGE 4096u
#define RING_BYTES_MAX (1u << 30)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

/* At offset 0, which is in the supervisor's area. */
struct header {
    _Atomic uint64_t magic; /* stored last */
    uint64_t version, layout_hash, size;
    struct region_config config;
};
_Static_assert(sizeof(struct header) <= PAGE, "the header is one page");

/* Offsets in the region. Arrays are indexed by the endpoint at the other end. */
struct area {
    uint64_t start, end;
    uint64_t producers, consumers; /* sides of rings that this endpoint owns */
    uint64_t links;                /* peers: counts of incoming links */
    uint64_t board, held;          /* peers */
    uint64_t trail;                /* supervisor and peers */
    uint64_t rings;                /* data of outgoing rings, page aligned */
};
struct layout {
    uint64_t clock, facts, rules, lives, orders; /* the supervisor's; rules by [to][from] */
    uint64_t commons, size; /* the bells, which everybody raises; the last pages */
    struct area area[ENDPOINT_MAX];
};

struct region {
    int fd;
    uint8_t *base;
    struct region_config config; /* copies: what lies in the mapping is not believed twice */
    struct layout layout;
};

static bool is_peer(const struct region_config *config, uint32_t endpoint)
{
    return endpoint >= 1 && endpoint <= config->peers;
}

static uint32_t endpoints(const struct region_config *config)
{
    return 1 + config->peers + config->clients;
}

/* Bytes of one latch in an array of them, each in cache lines of its own. */
static uint64_t latch_stride(size_t words)
{
    return (latch_bytes(words) + CACHE_LINE - 1) & ~(uint64_t)(CACHE_LINE - 1);
}

static uint64_t place(uint64_t *cursor, uint64_t bytes, uint64_t alignment)
{
    uint64_t offset = (*cursor + alignment - 1) & ~(alignment - 1);
    *cursor = offset + bytes;
    return offset;
}

static uint64_t rings_from(const struct region_config *config, uint32_t endpoint)
{
    return is_peer(config, endpoint) ? endpoints(config) - 1 : config->peers;
}

static void place_supervisor(const struct region_config *config, struct layout *layout,
                             uint64_t *cursor)
{
    uint64_t ids = config->peers + 1;
    place(cursor, PAGE, PAGE); /* the header */
    layout->clock = place(cursor, latch_stride(CLOCK_WORDS), CACHE_LINE);
    layout->facts = place(cursor, latch_stride(FACTS_WORDS), CACHE_LINE);
    layout->lives = place(cursor, ids * latch_stride(LIFE_WORDS), CACHE_LINE);
    layout->orders = place(cursor, ids * latch_stride(ORDERS_WORDS), CACHE_LINE);
    layout->rules = place(cursor, ids * ids * latch_stride(RULE_WORDS), CACHE_LINE);
}

static void place_area(const struct region_config *config, struct layout *layout, uint32_t endpoint,
                       uint64_t *cursor)
{
    struct area *area = &layout->area[endpoint];
    uint64_t all = endpoints(config);
    area->start = place(cursor, 0, PAGE);
    if (endpoint == SUPERVISOR) place_supervisor(config, layout, cursor);
    area->producers = place(cursor, all * sizeof(struct ring_producer), 2 * CACHE_LINE);
    area->consumers = place(cursor, all * sizeof(struct ring_consumer), 2 * CACHE_LINE);
    if (is_peer(config, endpoint)) {
        area->links = place(cursor, (config->peers + 1) * sizeof(struct link_counts), CACHE_LINE);
        area->board = place(cursor, latch_stride(BOARD_WORDS), CACHE_LINE);
        area->held = place(cursor, HELD_SLOTS * latch_stride(HELD_WORDS), CACHE_LINE);
    }
    if (endpoint <= config->peers) area->trail = place(cursor, sizeof(struct trail), CACHE_LINE);
    area->rings = place(cursor, rings_from(config, endpoint) * config->ring_bytes, PAGE);
    area->end = place(cursor, 0, PAGE);
}

static void layout_compute(const struct region_config *config, struct layout *layout)
{
    uint64_t cursor = 0;
    memset(layout, 0, sizeof(*layout));
    for (uint32_t i = 0; i < endpoints(config); i++) place_area(config, layout, i, &cursor);
    layout->commons = place(&cursor, endpoints(config) * sizeof(struct bell), PAGE);
    layout->size = place(&cursor, 0, PAGE);
}

/* Two builds agree on it when they mean the same thing by the same byte. */
static uint64_t layout_hash(const struct layout *layout)
{
    const uint64_t shapes[] = {
        XXH3_64bits(layout, sizeof(*layout)),
        sizeof(struct header),
        sizeof(struct layout),
        sizeof(struct ring_producer),
        sizeof(struct ring_consumer),
        sizeof(struct bell),
        sizeof(struct trail),
        sizeof(struct link_counts),
        sizeof(struct board),
        offsetof(struct board, log_runs),
        offsetof(struct board, followers),
        sizeof(struct note),
        offsetof(struct note, term),
        CLOCK_WORDS,
        FACTS_WORDS,
        LIFE_WORDS,
        ORDERS_WORDS,
        HELD_WORDS,
        RULE_WORDS,
        HELD_SLOTS,
        BOARD_RUNS,
        TRAIL_EVENTS,
        ROLE_COUNT,
        MESSAGE_KIND_COUNT,
        TOPIC_COUNT,
        NOTE_KIND_COUNT,
    };
    return XXH3_64bits(shapes, sizeof(shapes));
}

/* What is wrong with `config`, or NULL. */
static const char *config_fault(const struct region_config *config)
{
    if (config->peers < 1 || config->peers > PEER_MAX) return "peers: not 1 to 63";
    if (config->clients > CLIENT_MAX) return "clients: more than 16";
    if (config->ring_bytes < PAGE) return "ring bytes: less than 4096";
    if (config->ring_bytes > RING_BYTES_MAX) return "ring bytes: more than 1 GiB";
    if ((config->ring_bytes & (config->ring_bytes - 1)) != 0) return "ring bytes: no power of two";
    if (memchr(config->name, '\0', sizeof(config->name)) == NULL) return "name: 64 bytes or more";
    return NULL;
}

static err_t region_map(struct region *region, int protection)
{
    void *base = mmap(NULL, region->layout.size, protection, MAP_SHARED, region->fd, 0);
    if (base == MAP_FAILED)
        return err_begin(ERR_SYSTEM, "mapping %llu bytes of shared memory: %s",
                         (unsigned long long)region->layout.size, strerror(errno));
    region->base = base;
    return ERR_OK;
}

static void write_header(struct region *region)
{
    struct header *header = (struct header *)(void *)region->base;
    CHECK(header != NULL);
    header->version = REGION_VERSION;
    header->layout_hash = layout_hash(&region->layout);
    header->size = region->layout.size;
    header->config = region->config;
    atomic_store_explicit(&header->magic, REGION_MAGIC, memory_order_release);
}

static err_t create_mapped(struct region *region)
{
    region->fd = memfd_create("ringside", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (region->fd < 0) return err_begin(ERR_SYSTEM, "memfd_create: %s", strerror(errno));
    if (ftruncate(region->fd, (off_t)region->layout.size) != 0)
        return err_begin(ERR_SYSTEM, "shared memory of %llu bytes: %s",
                         (unsigned long long)region->layout.size, strerror(errno));
    err_t err = region_map(region, PROT_READ | PROT_WRITE);
    if (err != ERR_OK) return err;
    if (fcntl(region->fd, F_ADD_SEALS, SEALS) != 0)
        return err_begin(ERR_SYSTEM, "sealing shared memory: %s", strerror(errno));
    write_header(region);
    return ERR_OK;
}

static err_t region_alloc(struct region **region)
{
    *region = calloc(1, sizeof(**region));
    if (*region == NULL) return err_begin(ERR_SYSTEM, "out of memory");
    (*region)->fd = -1;
    return ERR_OK;
}

err_t region_create(const struct region_config *config, struct region **region)
{
    const char *fault = config_fault(config);
    if (fault != NULL) return err_begin(ERR_INPUT, "%s", fault);
    struct region *made;
    err_t err = region_alloc(&made);
    if (err != ERR_OK) return err;
    made->config = *config;
    layout_compute(&made->config, &made->layout);
    err = create_mapped(made);
    if (err != ERR_OK) {
        region_close(made);
        return err;
    }
    *region = made;
    return ERR_OK;
}

/* G2. By pread, so that a short file is an error and not a SIGBUS. */
static err_t attach_checked(struct region *region, const char *path)
{
    struct header header;
    struct stat status;
    region->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (region->fd < 0) return err_begin(ERR_SYSTEM, "%s", strerror(errno));
    if (fstat(region->fd, &status) != 0) return err_begin(ERR_SYSTEM, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode)) return err_begin(ERR_VERSION, "not shared memory");
    if (pread(region->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return err_begin(ERR_VERSION, "too short for a header");
    if (header.magic != REGION_MAGIC) return err_begin(ERR_VERSION, "wrong magic number");
    if (header.version != REGION_VERSION)
        return err_begin(ERR_VERSION, "version %llu, this program knows %u",
                         (unsigned long long)header.version, REGION_VERSION);
    const char *fault = config_fault(&header.config);
    if (fault != NULL) return err_begin(ERR_VERSION, "impossible configuration: %s", fault);
    region->config = header.config;
    layout_compute(&region->config, &region->layout);
    if (header.layout_hash != layout_hash(&region->layout))
        return err_begin(ERR_VERSION, "another layout: it was made by a different build");
    if (header.size != region->layout.size || (uint64_t)status.st_size != region->layout.size)
        return err_begin(ERR_VERSION, "%lld bytes, this layout needs %llu",
                         (long long)status.st_size, (unsigned long long)region->layout.size);
    int seals = fcntl(region->fd, F_GET_SEALS);
    if (seals == -1 || (seals & SEALS) != SEALS)
        return err_begin(ERR_VERSION, "not sealed: it might shrink under its readers");
    return region_map(region, PROT_READ);
}

err_t region_attach(const char *path, struct region **region)
{
    struct region *made;
    err_t err = region_alloc(&made);
    if (err != ERR_OK) return err;
    err = attach_checked(made, path);
    if (err != ERR_OK) {
        region_close(made);
        return err_note(err, "%s", path);
    }
    *region = made;
    return ERR_OK;
}

static err_t protect(struct region *region, uint64_t start, uint64_t end, int protection)
{
    if (mprotect(region->base + start, end - start, protection) == 0) return ERR_OK;
    return err_begin(ERR_SYSTEM, "protecting shared memory: %s", strerror(errno));
}

err_t region_protect(struct region *region, uint32_t endpoint)
{
    const struct layout *layout = &region->layout;
    CHECK(endpoint < endpoints(&region->config));
    const struct area *area = &layout->area[endpoint];
    err_t err = protect(region, 0, layout->commons, PROT_READ);
    if (err != ERR_OK) return err;
    return protect(region, area->start, area->end, PROT_READ | PROT_WRITE);
}

void region_close(struct region *region)
{
    if (region == NULL) return;
    if (region->base != NULL) munmap(region->base, region->layout.size);
    if (region->fd >= 0) close(region->fd);
    free(region);
}

int region_fd(const struct region *region)
{
    return region->fd;
}

const struct region_config *region_config(const struct region *region)
{
    return &region->config;
}

uint32_t region_endpoints(const struct region *region)
{
    return endpoints(&region->config);
}

bool region_linked(const struct region *region, uint32_t from, uint32_t to)
{
    uint32_t all = endpoints(&region->config);
    if (from >= all || to >= all || from == to) return false;
    return is_peer(&region->config, from) || is_peer(&region->config, to);
}

static const struct area *area_of(const struct region *region, uint32_t endpoint)
{
    CHECK(endpoint < endpoints(&region->config));
    return &region->layout.area[endpoint];
}

static const struct area *area_of_peer(const struct region *region, uint32_t peer)
{
    CHECK(is_peer(&region->config, peer));
    return &region->layout.area[peer];
}

static void *at(const struct region *region, uint64_t offset)
{
    return region->base + offset;
}

struct ring region_ring(const struct region *region, uint32_t from, uint32_t to)
{
    CHECK(region_linked(region, from, to));
    uint64_t bytes = region->config.ring_bytes;
    const struct area *sender = area_of(region, from), *receiver = area_of(region, to);
    /* A peer sends to everybody but itself, others to the peers only. */
    uint32_t rank = is_peer(&region->config, from) && to < from ? to : to - 1;
    return (struct ring){
        .producer = at(region, sender->producers + to * sizeof(struct ring_producer)),
        .consumer = at(region, receiver->consumers + from * sizeof(struct ring_consumer)),
        .data = at(region, sender->rings + rank * bytes),
        .capacity = bytes,
    };
}

struct bell *region_bell(const struct region *region, uint32_t endpoint)
{
    CHECK(endpoint < endpoints(&region->config));
    return at(region, region->layout.commons + endpoint * sizeof(struct bell));
}

struct trail *region_trail(const struct region *region, uint32_t endpoint)
{
    CHECK(endpoint <= region->config.peers);
    return at(region, area_of(region, endpoint)->trail);
}

struct latch *region_board(const struct region *region, uint32_t peer)
{
    return at(region, area_of_peer(region, peer)->board);
}

struct latch *region_held(const struct region *region, uint32_t peer, uint32_t slot)
{
    CHECK(slot < HELD_SLOTS);
    return at(region, area_of_peer(region, peer)->held + slot * latch_stride(HELD_WORDS));
}

struct link_counts *region_link(const struct region *region, uint32_t from, uint32_t to)
{
    CHECK(is_peer(&region->config, from));
    return at(region, area_of_peer(region, to)->links + from * sizeof(struct link_counts));
}

struct latch *region_clock(const struct region *region)
{
    return at(region, region->layout.clock);
}

struct latch *region_facts(const struct region *region)
{
    return at(region, region->layout.facts);
}

struct latch *region_rule(const struct region *region, uint32_t from, uint32_t to)
{
    CHECK(is_peer(&region->config, from));
    CHECK(is_peer(&region->config, to));
    uint64_t row = to * (region->config.peers + 1); /* a receiver reads its own row */
    return at(region, region->layout.rules + (row + from) * latch_stride(RULE_WORDS));
}

struct latch *region_life(const struct region *region, uint32_t peer)
{
    CHECK(is_peer(&region->config, peer));
    return at(region, region->layout.lives + peer * latch_stride(LIFE_WORDS));
}

struct latch *region_orders(const struct region *region, uint32_t peer)
{
    CHECK(is_peer(&region->config, peer));
    return at(region, region->layout.orders + peer * latch_stride(ORDERS_WORDS));
}
