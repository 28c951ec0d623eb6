/* The path of a tunnel's bytes, compiled: from the client's socket through TLS and WebSocket data frames to the
 * target's socket, and back; and before that the TLS handshake, until the head of the request has come.
 *
 * Python does everything else (transport/websocket/core_connection.py): requests, control frames, faults, ends,
 * unsent bytes, turns and allowances. The core takes a bounded number of bytes from a socket at a time, and tells
 * Python what it has not used. docs/gateway.md says how it is built and checked.
 *
 * All bytes come from strangers. These are the bounds:
 *   - One call reads once, at most MOST bytes, into IN; decrypts them in place, which takes less room; and hands over
 *     at most MOST_FRAMES frames.
 *   - OpenSSL reads on within one call until there is data, even through thousands of key updates. So it gets only
 *     whole records, and no more than RECORDS (or a fourth as many small ones) between two looks at the clock.
 *   - A frame's header is read from `header`, never beyond its 14 bytes. Everything except a masked, final, non-empty
 *     BINARY frame of at most MAX_FRAME bytes goes to Python, from its first byte on.
 *   - In a client (client/tunnel/asyncio_relay.py) all this is the same, with the gateway in place of the client and
 *     the local connection in place of the target, except that frames are masked in the other direction and no cost
 *     is limited.
 *   - A client whose request is yet to come is read 20 KiB at a time, at most 64 times, and gets its turn after all
 *     others; at most 16 KiB of its request and the rest of a record are kept.
 *   - The head of a request (at most 16 KiB) is read in one pass, each byte at most twice. A head in a form that
 *     clients do not usually write is left to Python, to read or to refuse. So is a presigned URL: each of its at
 *     most MOST_PARAMETERS parameters is compared with each other at most, and only those that are reported are
 *     copied.
 *   - The buffers IN, OUT and REQUEST serve all connections, so they stay in the processor's caches. No call leaves
 *     anything in them that a later call reads: each begins with lengths of its own, and copies what is left over
 *     before it returns. The GIL is held.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SOURCES
#error "SOURCES is the digest of the sources: build by scripts/build_core.py"
#endif

#define MOST (128 * 1024)          /* bytes read from a client at once */
#define RECORD (16 * 1024)         /* bytes of data in the largest record (RFC 8446 section 5.1) */
#define HEADER 5                   /* bytes of a record's header; the last two contain the length of the rest */
#define RECORDS 16                 /* records given to OpenSSL between two looks at the clock */
#define SMALL 1024                 /* bytes up to which a record is small */
#define SMALL_COUNTS 4             /* how many records a small one counts for */
#define TURN 150000                /* nanoseconds after which others get their turn */
#define MAX_FRAME (128 * 1024)     /* bytes of payload of the largest frame */
#define MOST_FRAMES 128            /* frames handed over at once */
#define FRAME (64 * 1024)          /* bytes of a full frame to the client, its header of 4 included */
#define FRAMES 4                   /* full frames read from a target at once */
#define READ_SIZE (64 * 1024)      /* bytes read from a client at once, and from a target */
#define PUSH_SIZE (2 * (FRAME - 4))
#define MOST_EVENTS 256            /* events taken from epoll at once */
#define ROUND 1000000              /* nanoseconds after which events go to Python, so that the event loop runs */
#define FREE 16                    /* microseconds of a call that are not counted: see allowance.py, also for the next two */
#define SMALL_RECORD 2
#define EMPTY_RECORD 40
#define MAX_HEAD (16 * 1024)       /* bytes of a request line and headers: see handshake.py */
#define GREETED (20 * 1024)        /* bytes read at once from a client whose request is yet to come */
#define MOST_GREETED 64            /* reads in which its request has to come, and records without data: see tls.py */
#define MOST_EMPTY 32
#define MOST_HANDSHAKE (8 * 1024)  /* bytes of its handshake records: see client_hello.py */

/* The flags that a call returns below the number of bytes, which is shifted by 16 bits: see flags.py. */
enum {
    FULL = 1,          /* as much was read as was asked for, so there is most likely more */
    NOTHING = 2,       /* there was nothing to read */
    END = 4,           /* the socket's input has ended */
    REST = 8,          /* `rest` has payload that was not sent */
    PLAIN = 16,        /* `plain` has frames for Python */
    ENCRYPTED = 32,    /* `encrypted` has records for the next call */
    COST = 64,         /* `cost` and `waste` count against the client's allowance */
    TLS_ENDED = 128,
    TLS_FAILED = 256,
    OUTGOING = 512,    /* `outgoing` has bytes that could not be sent */
    FAILED = 1024,     /* the socket could not be read, or memory ran out: the connection is to be dropped */
    TOO_MUCH = 2048,   /* the client exceeded a limit before its request came: the connection is to be reset */
};

typedef struct {
    PyObject_HEAD
    unsigned char *bytes; /* a queue: the bytes from `start` to `end` */
    size_t start, end, room;
} Queue;

typedef struct {
    PyObject_HEAD
    SSL_CTX *ctx;
    int is_client;
    unsigned int host_flags;
} Context;

typedef struct {
    PyObject_HEAD
    SSL *ssl;
    int is_client; /* it masks what it sends (RFC 6455 section 5.1) */
    Queue *incoming, *outgoing;
    PyObject *rest, *plain, *encrypted; /* bytes or NULL */
    /* What `pump` gives OpenSSL, while it runs; otherwise NULL. */
    const unsigned char *from;
    size_t from_size;
    const unsigned char *unread; /* while `push` writes: OpenSSL may overwrite OUT up to here; otherwise NULL */
    long cost, waste, carried; /* of the last call; carried is the number of payload bytes */
    /* About the records: bytes to come of the record whose beginning OpenSSL has; the beginning of a header; how many
       OpenSSL was given for which it has returned nothing yet; how many it may be given now. */
    size_t record_left;
    unsigned char stub[HEADER];
    size_t stub_size;
    long records;
    int budget;
    long small;
    size_t handshake; /* bytes of handshake records that OpenSSL was given */
    /* Before the request: whether the handshake is over; reads, and records that had no data. */
    int is_open;
    int greeted;
    long empty;
    /* About the frames: payload bytes to come of the frame that has begun; its mask, rotated to what comes next; the
       beginning of a header. */
    size_t payload_left;
    unsigned char mask[4];
    unsigned char header[14];
    size_t header_size;
} Session;

/* A client's bytes as they arrive, with room in front for the data of a record whose beginning OpenSSL already has. A
   record's data is shorter than the record, so it is put in its place: the fewer bytes are touched, the fewer have to
   be fetched from memory if others had the caches meanwhile. */
static unsigned char IN[RECORD + HEADER + MOST + RECORD];
/* Likewise, what goes to a client: a target's bytes, each frame with room for its header, and from the beginning the
   records that they become. Each record grows by its header, its type and its tag; TLS 1.2 has 8 bytes of nonce instead
   of the type, and with CBC up to 80 bytes of its own. The room in front of the frames is for that growth. */
#define GROWTH ((FRAMES * (FRAME / RECORD + 1) + 8) * 64)
static unsigned char OUT[GROWTH + FRAMES * FRAME];
static size_t out_size;

static PyObject *want_read, *ssl_error, *copy_context, *heappush, *heappop;
static PyObject *run_name, *cancelled_name, *closed_name, *ready_name, *append_name, *popleft_name, *scheduled_name,
    *cancelled_count_name, *clear_timers_name, *stopping_name, *debug_name, *run_watched_name, *poller_name, *poll_name,
    *take_events_name, *is_cancelled_name, *run_handle_name;
static PyTypeObject *queue_type, *context_type, *session_type, *poller_type, *pair_type, *handle_type;
static BIO_METHOD *bio_method;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* OpenSSL's errors belong to the thread: its next user would take them for its own. Looking is cheaper than clearing.
   */
static void clear_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static PyObject *raise_ssl(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    /* With the number and the text of Python's own exception. */
    PyObject *said = Py_BuildValue("(is)", SSL_ERROR_SSL, reason ? reason : "TLS failed");
    if (said != NULL) {
        PyErr_SetObject(ssl_error, said);
        Py_DECREF(said);
    }
    ERR_clear_error();
    return NULL;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* --- The parts: one translation unit, because they call each other for every record ------------------------------- */

#include "queue.c"
#include "tls.c"
#include "frames.c"
#include "relay.c"
#include "opening.c"
#include "session.c"
#include "poller.c"
#include "handle.c"
#include "loop.c"
#include "head.c"
#include "presigned.c"

/* --- The module ------------------------------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"handle", (PyCFunction)(void (*)(void))handle_new, METH_FASTCALL, NULL},
    {"complete", complete, METH_O, NULL},
    {"client_context", client_context, METH_VARARGS, NULL},
    {"read_head", read_head, METH_O, NULL},
    {"read_presigned", (PyCFunction)(void (*)(void))read_presigned, METH_FASTCALL, NULL},
    {"keyed_digest", (PyCFunction)(void (*)(void))keyed_digest, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, -1, functions, NULL, NULL, NULL, NULL};

/* Python has the same constants: tests compare them. */
static const struct {
    const char *name;
    long value;
} constants[] = {
    {"FULL", FULL},
    {"NOTHING", NOTHING},
    {"END", END},
    {"REST", REST},
    {"PLAIN", PLAIN},
    {"ENCRYPTED", ENCRYPTED},
    {"COST", COST},
    {"TLS_ENDED", TLS_ENDED},
    {"TLS_FAILED", TLS_FAILED},
    {"OUTGOING", OUTGOING},
    {"FAILED", FAILED},
    {"TOO_MUCH", TOO_MUCH},
    {"MAX_HEAD", MAX_HEAD},
    {"MOST_GREETED", MOST_GREETED},
    {"MOST_EMPTY", MOST_EMPTY},
    {"MOST_HANDSHAKE", MOST_HANDSHAKE},
    {"READ_SIZE", READ_SIZE},
    {"PUSH_SIZE", PUSH_SIZE},
    {"MAX_FRAME", MAX_FRAME},
    {"MOST_FRAMES", MOST_FRAMES},
    {"TURN", TURN},
    {"RECORDS", RECORDS},
    {"SMALL", SMALL},
    {"SMALL_COUNTS", SMALL_COUNTS},
    {"FREE", FREE},
    {"SMALL_RECORD", SMALL_RECORD},
    {"EMPTY_RECORD", EMPTY_RECORD},
};

/* Objects of Python's standard library. */
static const struct {
    const char *module, *name;
    PyObject **to;
} borrowed[] = {
    {"ssl", "SSLWantReadError", &want_read},
    {"ssl", "SSLError", &ssl_error},
    {"contextvars", "copy_context", &copy_context},
    {"heapq", "heappush", &heappush},
    {"heapq", "heappop", &heappop},
};
static const struct {
    const char *name;
    PyObject **to;
} names[] = {
    {"run", &run_name},
    {"_timer_handle_cancelled", &cancelled_name},
    {"_closed", &closed_name},
    {"_ready", &ready_name},
    {"append", &append_name},
    {"popleft", &popleft_name},
    {"_scheduled", &scheduled_name},
    {"_timer_cancelled_count", &cancelled_count_name},
    {"clear_timers", &clear_timers_name},
    {"_stopping", &stopping_name},
    {"_debug", &debug_name},
    {"run_watched", &run_watched_name},
    {"poller", &poller_name},
    {"poll", &poll_name},
    {"take_events", &take_events_name},
    {"_cancelled", &is_cancelled_name},
    {"_run", &run_handle_name},
};

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = NULL;
    for (size_t taken = 0; taken < sizeof borrowed / sizeof *borrowed; taken++) {
        PyObject *from = PyImport_ImportModule(borrowed[taken].module);
        *borrowed[taken].to = from == NULL ? NULL : PyObject_GetAttrString(from, borrowed[taken].name);
        Py_XDECREF(from);
        if (*borrowed[taken].to == NULL)
            return NULL;
    }
    for (size_t name = 0; name < sizeof names / sizeof *names; name++) {
        *names[name].to = PyUnicode_InternFromString(names[name].name);
        if (*names[name].to == NULL)
            return NULL;
    }
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hatchway");
    if (bio_method == NULL || !BIO_meth_set_read(bio_method, openssl_reads)
        || !BIO_meth_set_write(bio_method, openssl_writes) || !BIO_meth_set_ctrl(bio_method, openssl_controls))
        return PyErr_NoMemory();
    sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    hashing = EVP_MD_CTX_new();
    clear_errors();
    module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    queue_type = (PyTypeObject *)PyType_FromSpec(&queue_spec);
    context_type = (PyTypeObject *)PyType_FromSpec(&context_spec);
    session_type = (PyTypeObject *)PyType_FromSpec(&session_spec);
    poller_type = (PyTypeObject *)PyType_FromSpec(&poller_spec);
    pair_type = (PyTypeObject *)PyType_FromSpec(&pair_spec);
    handle_type = (PyTypeObject *)PyType_FromSpec(&handle_spec);
    if (queue_type == NULL || context_type == NULL || session_type == NULL || poller_type == NULL || pair_type == NULL
        || handle_type == NULL || PyModule_AddObjectRef(module, "Handle", (PyObject *)handle_type) < 0
        || PyModule_AddObjectRef(module, "Poller", (PyObject *)poller_type) < 0
        || PyModule_AddObjectRef(module, "Pair", (PyObject *)pair_type) < 0
        || PyModule_AddObjectRef(module, "Queue", (PyObject *)queue_type) < 0
        || PyModule_AddObjectRef(module, "Context", (PyObject *)context_type) < 0
        || PyModule_AddObjectRef(module, "Session", (PyObject *)session_type) < 0
        || PyModule_AddStringConstant(module, "OPENSSL", OpenSSL_version(OPENSSL_VERSION)) < 0
        || PyModule_AddStringConstant(module, "SOURCES", SOURCES) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    for (size_t constant = 0; constant < sizeof constants / sizeof *constants; constant++) {
        if (PyModule_AddIntConstant(module, constants[constant].name, constants[constant].value) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    }
    return module;
}
