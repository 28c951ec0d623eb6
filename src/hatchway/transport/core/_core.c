/* The path of a tunnel's bytes, compiled: client's socket, TLS, WebSocket frames with data, target's socket, and back.
 *
 * Everything else is Python's (transport/websocket/core_connection.py): handshakes, control frames, faults, ends,
 * unsent bytes, turns and allowances. What is here takes a socket's bytes once, of bounded size, and tells Python what
 * it has not used. docs/gateway.md says how it is built and checked.
 *
 * All bytes are a stranger's. What bounds them:
 *   - one call reads once, at most MOST bytes, into IN; decrypts at most so many into PLAIN, which has room for that
 *     and a record more; and hands over at most MOST_FRAMES frames.
 *   - OpenSSL reads on within one call until there is data, even through thousands of key updates. So it is given
 *     whole records only, and no more than RECORDS (or a fourth as many small ones) between two looks at the clock.
 *   - a frame's header is taken from `header`, never beyond its 14 bytes; what is not a masked, final, non-empty
 *     BINARY frame of at most MAX_FRAME bytes goes to Python from its first byte on.
 *   - the buffers IN, PLAIN, FRAMES and OUT serve all connections. No call leaves anything in them that a later one
 *     reads: each begins with lengths of its own, and what is left over is copied before it returns. The GIL is held.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST (128 * 1024)          /* bytes read from a client at once */
#define RECORD (16 * 1024)         /* bytes of data in the largest record (RFC 8446 section 5.1) */
#define HEADER 5                   /* bytes of a record's header; the last two are the length of the rest */
#define RECORDS 16                 /* records given to OpenSSL between two looks at the clock */
#define SMALL 1024                 /* bytes up to which a record is small */
#define SMALL_COUNTS 4             /* for how many records a small one counts */
#define TURN 150000                /* nanoseconds after which others have their turn */
#define MAX_FRAME (128 * 1024)     /* bytes of payload of the largest frame */
#define MOST_FRAMES 128            /* frames handed over at once */
#define FRAME (64 * 1024)          /* bytes of a full frame to the client, its header of 4 included */
#define FRAMES 4                   /* full frames read from a target at once */
#define READ_SIZE (64 * 1024)      /* bytes read from a client at once, and from a target */
#define PUSH_SIZE (2 * (FRAME - 4))
#define MOST_EVENTS 256            /* taken from epoll at once */
#define ROUND 1000000              /* nanoseconds after which events go to Python, for the event loop to run */
#define FREE 16                    /* microseconds of a call that are not counted: see allowance.py, as the next two */
#define SMALL_RECORD 2
#define EMPTY_RECORD 40

/* What a call tells besides a number of bytes, which stands above these 16 bits. */
enum {
    FULL = 1,          /* so much was read that there is most likely more */
    NOTHING = 2,       /* there was nothing to read */
    END = 4,           /* the socket's input has ended */
    REST = 8,          /* `rest` has payload that was not sent */
    PLAIN = 16,        /* `plain` has frames for Python */
    ENCRYPTED = 32,    /* `encrypted` has records for the next call */
    COST = 64,         /* `cost` and `waste` are to be paid for */
    TLS_ENDED = 128,
    TLS_FAILED = 256,
    OUTGOING = 512,    /* `outgoing` has something for the client */
    FAILED = 1024,     /* the socket could not be read, or there was no memory: it is to be dropped */
};

typedef struct {
    PyObject_HEAD
    unsigned char *bytes; /* a queue: what is from `start` to `end` */
    size_t start, end, room;
} Bio;

typedef struct {
    PyObject_HEAD
    SSL_CTX *ctx;
} Context;

typedef struct {
    PyObject_HEAD
    SSL *ssl;
    Bio *incoming, *outgoing;
    PyObject *rest, *plain, *encrypted; /* bytes or NULL */
    /* What `pump` is given from, while it runs; else NULL. */
    const unsigned char *from;
    size_t from_size;
    int is_pushing; /* what OpenSSL writes goes to OUT */
    long cost, waste, carried; /* of the last call; carried is how many bytes of payload */
    /* Of the records: bytes to come of the one that OpenSSL has the beginning of; the beginning of a header; how many
       OpenSSL was given for which it has given nothing yet; how many it may be given now. */
    size_t record_left;
    unsigned char stub[HEADER];
    size_t stub_size;
    long records;
    int budget;
    long small;
    /* Of the frames: bytes to come of the payload of the one that has begun, its mask, turned to what comes next; the
       beginning of a header. */
    size_t payload_left;
    unsigned char mask[4];
    unsigned char header[14];
    size_t header_size;
} Session;

static unsigned char IN[HEADER + MOST];
static unsigned char PLAIN_BYTES[MOST + 2 * RECORD];
static unsigned char FRAME_BYTES[FRAMES * FRAME];
/* Each record grows by its header, its type and its tag; TLS 1.2 has 8 bytes of nonce instead of the type. */
static unsigned char OUT[FRAMES * FRAME + (FRAMES * (FRAME / RECORD + 1) + 8) * 64];
static size_t out_size;

static PyObject *want_read, *ssl_error;
static PyTypeObject *bio_type, *context_type, *session_type, *poller_type, *pair_type;
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

static PyObject *raise_ssl(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    PyErr_SetString(ssl_error, reason ? reason : "TLS failed");
    ERR_clear_error();
    return NULL;
}

/* --- Queue: as ssl.MemoryBIO ------------------------------------------------------------------------------ */

/* Returns 0, or -1 when there is no memory. */
static int bio_append(Bio *bio, const void *bytes, size_t size)
{
    if (size == 0)
        return 0;
    if (bio->start == bio->end)
        bio->start = bio->end = 0;
    if (bio->room - bio->end < size) {
        size_t held = bio->end - bio->start;
        size_t room = held + size < 512 ? 512 : (held + size) * 2;
        unsigned char *grown = malloc(room);
        if (grown == NULL)
            return -1;
        if (held)
            memcpy(grown, bio->bytes + bio->start, held);
        free(bio->bytes);
        bio->bytes = grown;
        bio->start = 0;
        bio->end = held;
        bio->room = room;
    }
    memcpy(bio->bytes + bio->end, bytes, size);
    bio->end += size;
    return 0;
}

/* Forget `size` bytes, and the memory with the last of them: most connections are idle. */
static void bio_skip(Bio *bio, size_t size)
{
    bio->start += size;
    if (bio->start == bio->end) {
        free(bio->bytes);
        bio->bytes = NULL;
        bio->start = bio->end = bio->room = 0;
    }
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static void bio_dealloc(PyObject *self)
{
    free(((Bio *)self)->bytes);
    dealloc(self);
}

static PyObject *bio_write(PyObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t size = view.len;
    int failed = bio_append((Bio *)self, view.buf, (size_t)size);
    PyBuffer_Release(&view);
    return failed ? PyErr_NoMemory() : PyLong_FromSsize_t(size);
}

static PyObject *bio_read(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Bio *bio = (Bio *)self;
    size_t size = bio->end - bio->start;
    PyObject *read = PyBytes_FromStringAndSize((char *)bio->bytes + bio->start, (Py_ssize_t)size);
    if (read != NULL)
        bio_skip(bio, size);
    return read;
}

static PyObject *bio_pending(PyObject *self, void *Py_UNUSED(closure))
{
    Bio *bio = (Bio *)self;
    return PyLong_FromSize_t(bio->end - bio->start);
}

static PyMethodDef bio_methods[] = {
    {"write", bio_write, METH_O, NULL},
    {"read", bio_read, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef bio_members[] = {{"pending", bio_pending, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot bio_slots[] = {
    {Py_tp_dealloc, bio_dealloc}, {Py_tp_methods, bio_methods}, {Py_tp_getset, bio_members}, {0, NULL},
};
static PyType_Spec bio_spec = {
    "hatchway.transport.core._core.Queue", sizeof(Bio), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    bio_slots};

/* --- What OpenSSL reads from and writes to -------------------------------------------------------------------- */

static int openssl_reads(BIO *bio, char *to, int size)
{
    Session *self = BIO_get_data(bio);
    size_t most = size > 0 ? (size_t)size : 0;
    BIO_clear_retry_flags(bio);
    if (self->from == NULL) {
        most = least(most, self->incoming->end - self->incoming->start);
        if (most) {
            memcpy(to, self->incoming->bytes + self->incoming->start, most);
            bio_skip(self->incoming, most);
        }
    } else {
        if (self->record_left == 0 && self->from_size >= HEADER && self->budget > 0) {
            size_t length = (size_t)self->from[3] << 8 | self->from[4];
            self->record_left = HEADER + length;
            self->records++;
            if (length > SMALL) {
                self->budget--;
            } else {
                self->budget -= SMALL_COUNTS;
                self->small++;
            }
        }
        most = least(most, least(self->record_left, self->from_size));
        memcpy(to, self->from, most);
        self->from += most;
        self->from_size -= most;
        self->record_left -= most;
    }
    if (most)
        return (int)most;
    BIO_set_retry_read(bio);
    return -1;
}

static int openssl_writes(BIO *bio, const char *from, int size)
{
    Session *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (self->is_pushing) {
        if (sizeof OUT - out_size < (size_t)size)
            return -1;
        memcpy(OUT + out_size, from, (size_t)size);
        out_size += (size_t)size;
    } else if (bio_append(self->outgoing, from, (size_t)size)) {
        return -1;
    }
    return size;
}

static long openssl_controls(BIO *Py_UNUSED(bio), int command, long Py_UNUSED(number), void *Py_UNUSED(pointer))
{
    return command == BIO_CTRL_FLUSH;
}

/* --- Context: the server's, as server_tls.server_context makes it --------------------------------------------- */

static int no_password(char *Py_UNUSED(to), int Py_UNUSED(size), int Py_UNUSED(writes), void *Py_UNUSED(data))
{
    return -1;
}

static PyObject *context_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    const char *certificate, *key;
    if (!PyArg_ParseTuple(args, "ss", &certificate, &key))
        return NULL;
    Context *self = (Context *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    ERR_clear_error();
    SSL_CTX *ctx = self->ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        goto failed;
    SSL_CTX_set_options(ctx, SSL_OP_ALL | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                                 | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1
        || SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1
        || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        goto failed;
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return raise_ssl();
}

static void context_dealloc(PyObject *self)
{
    SSL_CTX_free(((Context *)self)->ctx);
    dealloc(self);
}

/* session(): a server's. It reads from and writes to two queues of its own, `incoming` and `outgoing`. */
static PyObject *context_session(PyObject *context, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)PyType_GenericAlloc(session_type, 0);
    if (self == NULL)
        return NULL;
    self->incoming = (Bio *)PyType_GenericAlloc(bio_type, 0);
    self->outgoing = (Bio *)PyType_GenericAlloc(bio_type, 0);
    if (self->incoming == NULL || self->outgoing == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    ERR_clear_error();
    self->ssl = SSL_new(((Context *)context)->ctx);
    BIO *bio = self->ssl == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL) {
        Py_DECREF(self);
        return raise_ssl();
    }
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    SSL_set_bio(self->ssl, bio, bio);
    SSL_set_accept_state(self->ssl);
    return (PyObject *)self;
}

static PyMethodDef context_methods[] = {
    {"session", context_session, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot context_slots[] = {
    {Py_tp_new, context_new}, {Py_tp_dealloc, context_dealloc}, {Py_tp_methods, context_methods}, {0, NULL},
};
static PyType_Spec context_spec = {
    "hatchway.transport.core._core.Context", sizeof(Context), 0, Py_TPFLAGS_DEFAULT, context_slots};

/* --- Session: as ssl.SSLObject, and the path of bytes ---------------------------------------------------------- */

static void session_dealloc(PyObject *object)
{
    Session *self = (Session *)object;
    SSL_free(self->ssl);
    Py_XDECREF((PyObject *)self->incoming);
    Py_XDECREF((PyObject *)self->outgoing);
    Py_XDECREF(self->rest);
    Py_XDECREF(self->plain);
    Py_XDECREF(self->encrypted);
    dealloc(object);
}

static PyObject *session_do_handshake(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)object;
    ERR_clear_error();
    int result = SSL_do_handshake(self->ssl);
    if (result == 1)
        Py_RETURN_NONE;
    if (SSL_get_error(self->ssl, result) != SSL_ERROR_WANT_READ)
        return raise_ssl();
    PyErr_SetNone(want_read);
    return NULL;
}

/* read(size, buffer): how many bytes; 0 at the end of TLS. */
static PyObject *session_read(PyObject *object, PyObject *args)
{
    Session *self = (Session *)object;
    Py_ssize_t size;
    Py_buffer view;
    if (!PyArg_ParseTuple(args, "nw*", &size, &view))
        return NULL;
    ERR_clear_error();
    size_t most = size < 0 ? 0 : least((size_t)size, least((size_t)view.len, INT32_MAX));
    int result = SSL_read(self->ssl, view.buf, (int)most);
    int error = SSL_get_error(self->ssl, result);
    PyBuffer_Release(&view);
    if (result > 0)
        return PyLong_FromLong(result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return PyLong_FromLong(0);
    if (error != SSL_ERROR_WANT_READ)
        return raise_ssl();
    PyErr_SetNone(want_read);
    return NULL;
}

static PyObject *session_write(PyObject *object, PyObject *data)
{
    Session *self = (Session *)object;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    ERR_clear_error();
    size_t written = 0;
    int result = view.len == 0 ? 1 : SSL_write_ex(self->ssl, view.buf, (size_t)view.len, &written);
    PyBuffer_Release(&view);
    return result == 1 ? PyLong_FromSize_t(written) : raise_ssl();
}

static PyObject *session_pending(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(SSL_pending(((Session *)object)->ssl));
}

/* End TLS. It raises while the client has not ended it too. */
static PyObject *session_unwrap(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)object;
    ERR_clear_error();
    int result = SSL_shutdown(self->ssl);
    if (result == 1)
        Py_RETURN_NONE;
    if (result < 0 && SSL_get_error(self->ssl, result) != SSL_ERROR_WANT_READ)
        return raise_ssl();
    PyErr_SetNone(want_read);
    return NULL;
}

/* enter(stub, record_left, records): what Python knows of the records when `pump` is to go on. */
static PyObject *session_enter(PyObject *object, PyObject *args)
{
    Session *self = (Session *)object;
    const char *stub;
    Py_ssize_t size, left;
    long records;
    if (!PyArg_ParseTuple(args, "y#nl", &stub, &size, &left, &records))
        return NULL;
    if (size >= HEADER || left < 0) {
        PyErr_SetString(PyExc_ValueError, "that is no state of records");
        return NULL;
    }
    memcpy(self->stub, stub, (size_t)size);
    self->stub_size = (size_t)size;
    self->record_left = (size_t)left;
    self->records = records;
    Py_RETURN_NONE;
}

/* leave(): the same when Python is to go on. */
static PyObject *session_leave(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)object;
    return Py_BuildValue("y#nl", self->stub, (Py_ssize_t)self->stub_size, (Py_ssize_t)self->record_left, self->records);
}

static PyObject *take(PyObject **bytes)
{
    PyObject *taken = *bytes;
    *bytes = NULL;
    return taken == NULL ? PyBytes_FromStringAndSize(NULL, 0) : taken;
}

static PyObject *session_take_rest(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Session *)self)->rest);
}

static PyObject *session_take_plain(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Session *)self)->plain);
}

static PyObject *session_take_encrypted(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take(&((Session *)self)->encrypted);
}

static PyObject *session_take_cost(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)object;
    PyObject *taken = Py_BuildValue("lll", self->cost, self->waste, self->carried);
    self->cost = self->waste = 0;
    return taken;
}

/* Returns 0, or -1 when there is no memory. */
static int keep(PyObject **bytes, const void *from, size_t size)
{
    Py_XDECREF(*bytes);
    *bytes = PyBytes_FromStringAndSize(from, (Py_ssize_t)size);
    return *bytes == NULL ? -1 : 0;
}

static void unmask(unsigned char *bytes, size_t size, unsigned char mask[4])
{
    unsigned char turned[4];
    uint64_t eight;
    size_t at = 0;
    memcpy(&eight, mask, 4);
    memcpy((unsigned char *)&eight + 4, mask, 4);
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        word ^= eight;
        memcpy(bytes + at, &word, 8);
    }
    for (; at < size; at++)
        bytes[at] ^= mask[at & 3];
    for (int byte = 0; byte < 4; byte++)
        turned[byte] = mask[(size + (size_t)byte) & 3];
    memcpy(mask, turned, 4);
}

/* Look at a header of which there are `header_size` bytes. Returns 1 when it is whole and of a frame for here, 0 when
   more has to come, and -1 when the frame is for Python. */
static int look_at_header(Session *self)
{
    const unsigned char *header = self->header;
    size_t whole = 6;
    if (header[0] != 0x82)
        return -1;
    if (self->header_size < 2)
        return 0;
    if (!(header[1] & 0x80))
        return -1;
    uint64_t length = header[1] & 0x7F;
    if (length >= 126) {
        size_t width = length == 126 ? 2 : 8;
        whole += width;
        if (self->header_size < 2 + width)
            return 0;
        length = 0;
        for (size_t byte = 0; byte < width; byte++)
            length = length << 8 | header[2 + byte];
        if (length < (width == 2 ? 126 : 65536))
            return -1;
    }
    if (length == 0 || length > MAX_FRAME)
        return -1;
    if (self->header_size < whole)
        return 0;
    memcpy(self->mask, header + whole - 4, 4);
    self->payload_left = (size_t)length;
    self->header_size = 0;
    return 1;
}

/* Find the payloads in `size` bytes of PLAIN, unmask them, and list them in `pieces`, which has room for one of a frame
   that had begun and of MOST_FRAMES more. What is for Python goes to `plain`. Returns how many pieces; -1 when there is
   no memory. */
static int split(Session *self, size_t size, int is_taken, struct iovec *pieces, size_t *carried)
{
    size_t at = 0;
    int count = 0, frames = 0;
    *carried = 0;
    while (at < size) {
        if (self->payload_left) {
            size_t length = least(self->payload_left, size - at);
            unmask(PLAIN_BYTES + at, length, self->mask);
            pieces[count].iov_base = PLAIN_BYTES + at;
            pieces[count++].iov_len = length;
            self->payload_left -= length;
            *carried += length;
            at += length;
            continue;
        }
        int found = -1;
        if (is_taken && (frames < MOST_FRAMES || self->header_size)) {
            self->header[self->header_size++] = PLAIN_BYTES[at++];
            found = look_at_header(self);
        }
        if (found > 0) {
            frames++;
        } else if (found < 0) {
            size_t begun = self->header_size, length = size - at;
            Py_XDECREF(self->plain);
            self->plain = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(begun + length));
            if (self->plain == NULL)
                return -1;
            unsigned char *plain = (unsigned char *)PyBytes_AsString(self->plain);
            memcpy(plain, self->header, begun);
            memcpy(plain + begun, PLAIN_BYTES + at, length);
            self->header_size = 0;
            break;
        }
    }
    self->cost += frames;
    return count;
}

/* Read from the client once, or take what was read, and send what it carries to the target. The target may be -1:
   payload goes to `rest` then; or -2: all frames go to Python. Returns how many bytes of payload there were, above 16
   bits of flags; -1 with an exception. */
static long long pump(Session *self, int client, int target, size_t most, PyObject *encrypted)
{
    size_t size = self->stub_size;
    int flags = 0;
    if (self->incoming->start != self->incoming->end || SSL_pending(self->ssl)) {
        PyErr_SetString(PyExc_ValueError, "there is something that has not been read");
        return -1;
    }
    memcpy(IN, self->stub, size);
    most = least(most, MOST);
    if (encrypted == Py_None) {
        ssize_t read = recv(client, IN + size, most, MSG_DONTWAIT);
        if (read < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return NOTHING;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (read == 0)
            return END;
        size += (size_t)read;
        if ((size_t)read == most)
            flags |= FULL;
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(encrypted, &view, PyBUF_SIMPLE) < 0)
            return -1;
        size_t first = least((size_t)view.len, MOST);
        memcpy(IN + size, view.buf, first);
        size += first;
        int failed = first < (size_t)view.len
                     && keep(&self->encrypted, (unsigned char *)view.buf + first, (size_t)view.len - first);
        PyBuffer_Release(&view);
        if (failed)
            return -1;
    }
    self->stub_size = 0;
    self->small = 0;
    self->from = IN;
    self->from_size = size;
    int64_t until = now() + TURN;
    size_t filled = 0;
    long reads = 0;
    ERR_clear_error();
    do {
        self->budget = RECORDS;
        while (sizeof PLAIN_BYTES - filled >= RECORD) {
            int result = SSL_read(self->ssl, PLAIN_BYTES + filled, RECORD);
            if (result > 0) {
                reads++;
                filled += (size_t)result;
                continue;
            }
            int error = SSL_get_error(self->ssl, result);
            if (error == SSL_ERROR_ZERO_RETURN)
                flags |= TLS_ENDED;
            else if (error != SSL_ERROR_WANT_READ)
                flags |= TLS_FAILED;
            break;
        }
    } while (!(flags & (TLS_ENDED | TLS_FAILED)) && sizeof PLAIN_BYTES - filled >= RECORD
             && (self->record_left ? self->from_size > 0 : self->from_size >= HEADER) && now() < until);
    /* Whoever uses OpenSSL next on this thread, as Python's own ssl, would take them for its own. */
    ERR_clear_error();
    const unsigned char *left = self->from;
    size_t left_size = self->from_size;
    self->from = NULL;
    self->from_size = 0;
    if (self->record_left == 0 && left_size < HEADER && self->encrypted == NULL) {
        memcpy(self->stub, left, left_size);
        self->stub_size = left_size;
    } else if (left_size && !(flags & (TLS_ENDED | TLS_FAILED))) {
        PyObject *after = self->encrypted;
        self->encrypted = NULL;
        if (keep(&self->encrypted, left, left_size))
            return -1;
        if (after != NULL) {
            PyObject *both = PySequence_Concat(self->encrypted, after);
            Py_DECREF(after);
            Py_DECREF(self->encrypted);
            self->encrypted = both;
            if (both == NULL)
                return -1;
        }
    }
    if (self->encrypted != NULL)
        flags |= ENCRYPTED;
    self->cost += self->small * SMALL_RECORD;
    /* Records that had no data; the last one may be incomplete. */
    long begun = self->record_left > 0, empty = self->records - reads - begun;
    self->records = begun;
    if (empty > 0) {
        self->cost += empty * EMPTY_RECORD;
        self->waste += empty;
    }
    struct iovec pieces[MOST_FRAMES + 1];
    size_t carried = 0;
    int pieces_count = split(self, filled, target != -2, pieces, &carried);
    if (pieces_count < 0)
        return -1;
    if (self->plain != NULL)
        flags |= PLAIN;
    size_t sent = 0;
    if (carried && target >= 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)pieces_count};
        ssize_t result = sendmsg(target, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (result >= 0)
            sent = (size_t)result;
    }
    /* Also after an error, which Python gets again when it sends that. */
    if (sent < carried) {
        Py_XDECREF(self->rest);
        self->rest = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(carried - sent));
        if (self->rest == NULL)
            return -1;
        char *rest = PyBytes_AsString(self->rest);
        for (int piece = 0; piece < pieces_count; piece++) {
            size_t skipped = least(sent, pieces[piece].iov_len);
            sent -= skipped;
            memcpy(rest, (char *)pieces[piece].iov_base + skipped, pieces[piece].iov_len - skipped);
            rest += pieces[piece].iov_len - skipped;
        }
        flags |= REST;
    }
    if (self->outgoing->start != self->outgoing->end)
        flags |= OUTGOING;
    if (self->cost > FREE || self->waste)
        flags |= COST;
    else
        self->cost = 0;
    self->carried = (long)carried;
    return (long long)carried << 16 | flags;
}

/* pump(client, target, most, encrypted) */
static PyObject *session_pump(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "pump takes four arguments");
        return NULL;
    }
    long client = PyLong_AsLong(args[0]), target = PyLong_AsLong(args[1]);
    size_t most = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    long long result = pump((Session *)object, (int)client, (int)target, most, args[3]);
    return result < 0 ? NULL : PyLong_FromLongLong(result);
}

/* The header of a frame with so many bytes, to end where they begin. Returns its size. */
static size_t put_header(unsigned char *end, size_t size)
{
    if (size < 126) {
        end[-2] = 0x82;
        end[-1] = (unsigned char)size;
        return 2;
    }
    end[-4] = 0x82;
    end[-3] = 126;
    end[-2] = (unsigned char)(size >> 8);
    end[-1] = (unsigned char)size;
    return 4;
}

/* Read from the target once, and send it to the client in frames. Returns as `pump` does. */
static long long push(Session *self, int target, int client, size_t most)
{
    if (self->outgoing->start != self->outgoing->end) {
        PyErr_SetString(PyExc_ValueError, "there is something to be sent first");
        return -1;
    }
    if (!SSL_is_init_finished(self->ssl)) {
        PyErr_SetString(ssl_error, "TLS is amid a message of its own");
        return -1;
    }
    struct iovec places[FRAMES];
    struct msghdr message = {.msg_iov = places};
    most = least(most, FRAMES * (FRAME - 4));
    for (size_t left = most; left; left -= places[message.msg_iovlen++].iov_len) {
        places[message.msg_iovlen].iov_base = FRAME_BYTES + message.msg_iovlen * FRAME + 4;
        places[message.msg_iovlen].iov_len = least(left, FRAME - 4);
    }
    ssize_t read = recvmsg(target, &message, MSG_DONTWAIT);
    if (read < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return NOTHING;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (read == 0)
        return END;
    int flags = (size_t)read == most ? FULL : 0, result = 1;
    ERR_clear_error();
    self->is_pushing = 1;
    out_size = 0;
    for (size_t frame = 0, left = (size_t)read; left && result == 1; frame++) {
        size_t size = least(left, FRAME - 4), written;
        unsigned char *payload = FRAME_BYTES + frame * FRAME + 4;
        size_t header = put_header(payload, size);
        result = SSL_write_ex(self->ssl, payload - header, header + size, &written);
        left -= size;
    }
    self->is_pushing = 0;
    if (result != 1) {
        raise_ssl();
        return -1;
    }
    ssize_t sent = send(client, OUT, out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        sent = 0;
    /* Whatever else is written to the client comes after this. */
    if ((size_t)sent < out_size) {
        if (bio_append(self->outgoing, OUT + sent, out_size - (size_t)sent)) {
            PyErr_NoMemory();
            return -1;
        }
        flags |= OUTGOING;
    }
    return (long long)read << 16 | flags;
}

/* push(target, client, most) */
static PyObject *session_push(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "push takes three arguments");
        return NULL;
    }
    long target = PyLong_AsLong(args[0]), client = PyLong_AsLong(args[1]);
    size_t most = PyLong_AsSize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    long long result = push((Session *)object, (int)target, (int)client, most);
    return result < 0 ? NULL : PyLong_FromLongLong(result);
}

static PyObject *session_incoming(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Session *)self)->incoming);
}

static PyObject *session_outgoing(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef((PyObject *)((Session *)self)->outgoing);
}

static PyGetSetDef session_members[] = {
    {"incoming", session_incoming, NULL, NULL, NULL},
    {"outgoing", session_outgoing, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef session_methods[] = {
    {"do_handshake", session_do_handshake, METH_NOARGS, NULL},
    {"read", session_read, METH_VARARGS, NULL},
    {"write", session_write, METH_O, NULL},
    {"pending", session_pending, METH_NOARGS, NULL},
    {"unwrap", session_unwrap, METH_NOARGS, NULL},
    {"enter", session_enter, METH_VARARGS, NULL},
    {"leave", session_leave, METH_NOARGS, NULL},
    {"pump", (PyCFunction)(void (*)(void))session_pump, METH_FASTCALL, NULL},
    {"push", (PyCFunction)(void (*)(void))session_push, METH_FASTCALL, NULL},
    {"take_rest", session_take_rest, METH_NOARGS, NULL},
    {"take_plain", session_take_plain, METH_NOARGS, NULL},
    {"take_encrypted", session_take_encrypted, METH_NOARGS, NULL},
    {"take_cost", session_take_cost, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot session_slots[] = {
    {Py_tp_dealloc, session_dealloc}, {Py_tp_methods, session_methods}, {Py_tp_getset, session_members}, {0, NULL},
};
static PyType_Spec session_spec = {
    "hatchway.transport.core._core.Session", sizeof(Session), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, session_slots};

/* --- Poller: which sockets have something, and what of that needs no Python ------------------------------------ */

typedef struct Pair Pair;

typedef struct {
    PyObject_HEAD
    int descriptor;
    Pair **pairs; /* by the descriptors of their sockets */
    size_t size;
} Poller;

/* The two sockets of a tunnel. Whatever Python does that `pump` or `push` has to know of disarms it. */
struct Pair {
    PyObject_HEAD
    Poller *poller;
    Session *session;
    int client, target;
    int reads_client, reads_target;
    int client_flags, target_flags; /* of what was carried in part, for Python to take */
    long long bytes_in, bytes_out;
};

static void poller_forget(Poller *self, int descriptor, const Pair *pair)
{
    if ((size_t)descriptor < self->size && self->pairs[descriptor] == pair)
        self->pairs[descriptor] = NULL;
}

static int poller_know(Poller *self, int descriptor, Pair *pair)
{
    size_t wanted = (size_t)descriptor + 1;
    if (wanted > self->size) {
        size_t size = wanted * 2;
        Pair **grown = realloc(self->pairs, size * sizeof *grown);
        if (grown == NULL)
            return -1;
        memset(grown + self->size, 0, (size - self->size) * sizeof *grown);
        self->pairs = grown;
        self->size = size;
    }
    self->pairs[descriptor] = pair;
    return 0;
}

static PyObject *poller_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    Poller *self = (Poller *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (self->descriptor < 0) {
        Py_DECREF(self);
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return (PyObject *)self;
}

static void poller_dealloc(PyObject *object)
{
    Poller *self = (Poller *)object;
    if (self->descriptor >= 0)
        close(self->descriptor);
    free(self->pairs);
    dealloc(object);
}

static PyObject *poller_fileno(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(((Poller *)self)->descriptor);
}

static PyObject *control(PyObject *self, PyObject *args, int operation)
{
    int descriptor;
    unsigned int events = 0;
    if (!PyArg_ParseTuple(args, "i|I", &descriptor, &events))
        return NULL;
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(((Poller *)self)->descriptor, operation, descriptor, &event) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *poller_register(PyObject *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_ADD);
}

static PyObject *poller_modify(PyObject *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_MOD);
}

static PyObject *poller_unregister(PyObject *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_DEL);
}

/* Carry what has come, as long as a turn lasts. Returns whether nothing is left to Python. */
static int serve(Pair *pair, int is_client)
{
    int64_t until = 0;
    for (;;) {
        long long result = is_client ? pump(pair->session, pair->client, pair->target, READ_SIZE, Py_None)
                                     : push(pair->session, pair->target, pair->client, PUSH_SIZE);
        if (result < 0 && PyErr_ExceptionMatches(ssl_error)) {
            /* It is the client's TLS that cannot be written to, not the target that has failed: Python sees to it. */
            PyErr_Clear();
            pair->reads_client = pair->reads_target = 0;
            return 0;
        }
        int flags = result < 0 ? FAILED : (int)(result & 0xFFFF);
        if (result < 0)
            PyErr_Clear();
        else if (is_client)
            pair->bytes_in += result >> 16;
        else
            pair->bytes_out += result >> 16;
        if (flags == 0 || flags == NOTHING)
            return 1;
        if (flags != FULL) {
            pair->reads_client = pair->reads_target = 0;
            *(is_client ? &pair->client_flags : &pair->target_flags) = flags;
            return 0;
        }
        /* Epoll tells again of what is left when a turn is over, after the others. */
        if (until == 0)
            until = now() + TURN;
        else if (now() > until)
            return 1;
    }
}

/* Carry what can be, and put the others of so many events into a list. Returns -1 with an exception. */
static int sort(Poller *self, const struct epoll_event *events, int count, PyObject *told)
{
    int64_t until = count > 1 ? now() + ROUND : 0;
    for (int at = 0; at < count; at++) {
        int descriptor = events[at].data.fd;
        Pair *pair = (size_t)descriptor < self->size ? self->pairs[descriptor] : NULL;
        if (pair != NULL && events[at].events == EPOLLIN && (until == 0 || now() < until)) {
            int is_client = descriptor == pair->client;
            if ((is_client ? pair->reads_client : pair->reads_target) && serve(pair, is_client))
                continue;
        }
        PyObject *one = Py_BuildValue("iI", descriptor, events[at].events);
        int failed = one == NULL || PyList_Append(told, one) < 0;
        Py_XDECREF(one);
        if (failed)
            return -1;
    }
    return 0;
}

/* poll(milliseconds): wait until there is something for Python, or for so long, or for ever if negative. Returns what
   select.epoll.poll does, less what could be carried here. */
static PyObject *poller_poll(PyObject *object, PyObject *timeout)
{
    Poller *self = (Poller *)object;
    struct epoll_event events[MOST_EVENTS];
    long left = PyLong_AsLong(timeout);
    if (left == -1 && PyErr_Occurred())
        return NULL;
    int64_t until = left > 0 ? now() + left * 1000000 : 0;
    PyObject *told = PyList_New(0);
    while (told != NULL) {
        int count, most = left > INT_MAX ? INT_MAX : (int)left;
        if (most == 0) {
            count = epoll_wait(self->descriptor, events, MOST_EVENTS, 0);
        } else {
            Py_BEGIN_ALLOW_THREADS
            count = epoll_wait(self->descriptor, events, MOST_EVENTS, most);
            Py_END_ALLOW_THREADS
        }
        if (count < 0 && errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(told);
            break;
        }
        if (sort(self, events, count, told) < 0) {
            Py_CLEAR(told);
            break;
        }
        /* A signal ends it, for its handler to run. */
        if (left == 0 || count <= 0 || PyList_Size(told) > 0)
            break;
        if (left > 0) {
            int64_t nanoseconds = until - now();
            left = nanoseconds <= 0 ? 0 : (long)((nanoseconds + 999999) / 1000000);
            if (left == 0)
                break;
        }
    }
    return told;
}

/* pair(session, client, target): the two sockets of a tunnel, which are both watched here. */
static PyObject *poller_pair(PyObject *object, PyObject *args)
{
    PyObject *session;
    int client, target;
    if (!PyArg_ParseTuple(args, "O!ii", session_type, &session, &client, &target))
        return NULL;
    if (client < 0 || target < 0) {
        PyErr_SetString(PyExc_ValueError, "a socket is closed");
        return NULL;
    }
    Pair *pair = (Pair *)PyType_GenericAlloc(pair_type, 0);
    if (pair == NULL)
        return NULL;
    pair->client = client;
    pair->target = target;
    pair->session = (Session *)Py_NewRef(session);
    pair->poller = (Poller *)Py_NewRef(object);
    if (poller_know(pair->poller, client, pair) < 0 || poller_know(pair->poller, target, pair) < 0) {
        Py_DECREF(pair);
        return PyErr_NoMemory();
    }
    return (PyObject *)pair;
}

static PyMethodDef poller_methods[] = {
    {"fileno", poller_fileno, METH_NOARGS, NULL},
    {"register", poller_register, METH_VARARGS, NULL},
    {"modify", poller_modify, METH_VARARGS, NULL},
    {"unregister", poller_unregister, METH_VARARGS, NULL},
    {"poll", poller_poll, METH_O, NULL},
    {"pair", poller_pair, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot poller_slots[] = {
    {Py_tp_new, poller_new}, {Py_tp_dealloc, poller_dealloc}, {Py_tp_methods, poller_methods}, {0, NULL},
};
static PyType_Spec poller_spec = {
    "hatchway.transport.core._core.Poller", sizeof(Poller), 0, Py_TPFLAGS_DEFAULT, poller_slots};

static PyObject *pair_disarm(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Pair *self = (Pair *)object;
    self->reads_client = self->reads_target = 0;
    Py_RETURN_NONE;
}

/* The client's socket may be read, and written to the target, until further notice. */
static PyObject *pair_read_client(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Pair *)self)->reads_client = ((Pair *)self)->client >= 0;
    Py_RETURN_NONE;
}

/* And the target's, for the client. */
static PyObject *pair_read_target(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Pair *)self)->reads_target = ((Pair *)self)->client >= 0;
    Py_RETURN_NONE;
}

static PyObject *take_flags(int *flags)
{
    int taken = *flags;
    *flags = 0;
    return PyLong_FromLong(taken);
}

static PyObject *pair_take_client(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take_flags(&((Pair *)self)->client_flags);
}

static PyObject *pair_take_target(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return take_flags(&((Pair *)self)->target_flags);
}

static PyObject *pair_is_told(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Pair *)self)->client_flags || ((Pair *)self)->target_flags);
}

static void part(Pair *self)
{
    self->reads_client = self->reads_target = 0;
    if (self->client >= 0) {
        poller_forget(self->poller, self->client, self);
        poller_forget(self->poller, self->target, self);
        self->client = self->target = -1;
    }
}

/* One of the sockets is about to be closed. */
static PyObject *pair_part(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    part((Pair *)self);
    Py_RETURN_NONE;
}

static void pair_dealloc(PyObject *object)
{
    Pair *self = (Pair *)object;
    part(self);
    Py_XDECREF((PyObject *)self->session);
    Py_XDECREF((PyObject *)self->poller);
    dealloc(object);
}

static PyObject *pair_bytes_in(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(((Pair *)self)->bytes_in);
}

static PyObject *pair_bytes_out(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(((Pair *)self)->bytes_out);
}

static PyMethodDef pair_methods[] = {
    {"disarm", pair_disarm, METH_NOARGS, NULL},
    {"read_client", pair_read_client, METH_NOARGS, NULL},
    {"read_target", pair_read_target, METH_NOARGS, NULL},
    {"take_client", pair_take_client, METH_NOARGS, NULL},
    {"take_target", pair_take_target, METH_NOARGS, NULL},
    {"part", pair_part, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef pair_members[] = {
    {"bytes_in", pair_bytes_in, NULL, NULL, NULL},
    {"bytes_out", pair_bytes_out, NULL, NULL, NULL},
    {"is_told", pair_is_told, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot pair_slots[] = {
    {Py_tp_dealloc, pair_dealloc}, {Py_tp_methods, pair_methods}, {Py_tp_getset, pair_members}, {0, NULL},
};
static PyType_Spec pair_spec = {
    "hatchway.transport.core._core.Pair", sizeof(Pair), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    pair_slots};

/* --- The module ------------------------------------------------------------------------------------------------ */

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", NULL, -1, NULL, NULL, NULL, NULL, NULL};

/* Which Python has too: a test compares them. */
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

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *ssl = PyImport_ImportModule("ssl"), *module = NULL;
    if (ssl == NULL)
        return NULL;
    want_read = PyObject_GetAttrString(ssl, "SSLWantReadError");
    ssl_error = PyObject_GetAttrString(ssl, "SSLError");
    Py_DECREF(ssl);
    if (want_read == NULL || ssl_error == NULL)
        return NULL;
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hatchway");
    if (bio_method == NULL || !BIO_meth_set_read(bio_method, openssl_reads)
        || !BIO_meth_set_write(bio_method, openssl_writes) || !BIO_meth_set_ctrl(bio_method, openssl_controls))
        return PyErr_NoMemory();
    module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    bio_type = (PyTypeObject *)PyType_FromSpec(&bio_spec);
    context_type = (PyTypeObject *)PyType_FromSpec(&context_spec);
    session_type = (PyTypeObject *)PyType_FromSpec(&session_spec);
    poller_type = (PyTypeObject *)PyType_FromSpec(&poller_spec);
    pair_type = (PyTypeObject *)PyType_FromSpec(&pair_spec);
    if (bio_type == NULL || context_type == NULL || session_type == NULL || poller_type == NULL || pair_type == NULL
        || PyModule_AddObjectRef(module, "Poller", (PyObject *)poller_type) < 0
        || PyModule_AddObjectRef(module, "Pair", (PyObject *)pair_type) < 0
        || PyModule_AddObjectRef(module, "Queue", (PyObject *)bio_type) < 0
        || PyModule_AddObjectRef(module, "Context", (PyObject *)context_type) < 0
        || PyModule_AddObjectRef(module, "Session", (PyObject *)session_type) < 0
        || PyModule_AddStringConstant(module, "OPENSSL", OpenSSL_version(OPENSSL_VERSION)) < 0) {
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
