/* Part of _core.c. Which sockets have events, and which of these need no Python. */

typedef struct Pair Pair;

typedef struct {
    PyObject_HEAD
    int descriptor;
    int untrusted; /* the epoll of clients whose request is yet to come; -1 if there is none */
    Pair **pairs; /* by the descriptors of their sockets */
    size_t size;
} Poller;

/* The two sockets of a tunnel; or only that of a client whose request is yet to come: then `target` is -1. Everything
   that Python does and that `pump`, `push` or `greet` must know about disarms the pair. */
struct Pair {
    PyObject_HEAD
    Poller *poller;
    Session *session;
    int client, target;
    int reads_client, reads_target;
    int client_flags, target_flags; /* results of what was carried in part, for Python to take */
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
    self->untrusted = -1;
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

/* Carry what has come, for as long as a turn lasts. Returns whether nothing is left to Python. */
static int serve(Pair *pair, int is_client)
{
    int64_t until = 0;
    for (;;) {
        long long result = is_client ? pump(pair->session, pair->client, pair->target, READ_SIZE, Py_None)
                                     : push(pair->session, pair->target, pair->client, PUSH_SIZE);
        if (result < 0 && PyErr_ExceptionMatches(ssl_error)) {
            /* The client's TLS cannot be written to; the target has not failed. Python handles that. */
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
        /* Epoll reports what is left again when a turn is over, after the others. */
        if (until == 0)
            until = now() + TURN;
        else if (now() > until)
            return 1;
    }
}

/* Append an event to a list. Returns -1 with an exception. */
static int append_event(PyObject *ready, const struct epoll_event *event)
{
    PyObject *one = Py_BuildValue("iI", event->data.fd, event->events);
    int failed = one == NULL || PyList_Append(ready, one) < 0;
    Py_XDECREF(one);
    return failed ? -1 : 0;
}

/* Give one client whose request is yet to come its turn, and append to a list what Python must handle. A turn costs as
   much as hundreds of frames. Returns -1 with an exception. */
static int serve_untrusted(Poller *self, PyObject *ready)
{
    struct epoll_event event;
    if (epoll_wait(self->untrusted, &event, 1, 0) <= 0)
        return 0;
    int descriptor = event.data.fd;
    Pair *pair = (size_t)descriptor < self->size ? self->pairs[descriptor] : NULL;
    if (pair != NULL && pair->target < 0 && pair->reads_client && event.events == EPOLLIN) {
        int flags = greet(pair->session, descriptor, descriptor, Py_None);
        if (flags < 0) {
            PyErr_Clear();
            flags = FAILED;
        }
        /* Epoll reports what is left again. */
        flags &= ~(FULL | NOTHING);
        if (flags == 0)
            return 0;
        pair->reads_client = 0;
        pair->client_flags = flags;
    }
    return append_event(ready, &event);
}

/* Carry what can be carried, and append the other events to a list. Returns whether clients whose request is yet to
   come are waiting; -1 with an exception. */
static int sort(Poller *self, const struct epoll_event *events, int count, PyObject *ready)
{
    int is_untrusted = 0;
    int64_t until = count > 1 ? now() + ROUND : 0;
    for (int at = 0; at < count; at++) {
        int descriptor = events[at].data.fd;
        Pair *pair = (size_t)descriptor < self->size ? self->pairs[descriptor] : NULL;
        if (descriptor == self->untrusted) {
            is_untrusted = 1;
            continue;
        }
        if (pair != NULL && pair->target >= 0 && events[at].events == EPOLLIN && (until == 0 || now() < until)) {
            int is_client = descriptor == pair->client;
            if ((is_client ? pair->reads_client : pair->reads_target) && serve(pair, is_client))
                continue;
        }
        if (append_event(ready, &events[at]) < 0)
            return -1;
    }
    return is_untrusted;
}

/* poll(milliseconds): wait until there is something for Python, or for so long, or for ever if negative. Returns what
   select.epoll.poll does, without what could be carried here. */
static PyObject *poller_poll(PyObject *object, PyObject *timeout)
{
    Poller *self = (Poller *)object;
    struct epoll_event events[MOST_EVENTS];
    long left = PyLong_AsLong(timeout);
    if (left == -1 && PyErr_Occurred())
        return NULL;
    int64_t until = left > 0 ? now() + left * 1000000 : 0;
    PyObject *ready = PyList_New(0);
    while (ready != NULL) {
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
            Py_CLEAR(ready);
            break;
        }
        int is_untrusted = sort(self, events, count, ready);
        if (is_untrusted > 0) {
            /* They come last: if Python has something to do, after that. */
            struct epoll_event event = {.events = EPOLLIN, .data.fd = self->untrusted};
            is_untrusted = left == 0 || PyList_Size(ready) > 0 ? append_event(ready, &event) : serve_untrusted(self, ready);
        }
        if (is_untrusted < 0) {
            Py_CLEAR(ready);
            break;
        }
        /* A signal ends the wait, so that its handler runs. */
        if (left == 0 || count <= 0 || PyList_Size(ready) > 0)
            break;
        if (left > 0) {
            int64_t nanoseconds = until - now();
            left = nanoseconds <= 0 ? 0 : (long)((nanoseconds + 999999) / 1000000);
            if (left == 0)
                break;
        }
    }
    return ready;
}

/* greet_by(descriptor): this epoll watches the clients whose request is yet to come; it is watched here itself. */
static PyObject *poller_greet_by(PyObject *self, PyObject *descriptor)
{
    long given = PyLong_AsLong(descriptor);
    if (given == -1 && PyErr_Occurred())
        return NULL;
    ((Poller *)self)->untrusted = (int)given;
    Py_RETURN_NONE;
}

/* greet(): give one of them its turn. Returns what `poll` does. */
static PyObject *poller_greet(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *ready = PyList_New(0);
    if (ready != NULL && serve_untrusted((Poller *)self, ready) < 0)
        Py_CLEAR(ready);
    return ready;
}

/* pair(session, client, target): the two sockets of a tunnel, which are both watched here; or, without a target, that
   of a client whose request is yet to come. */
static PyObject *poller_pair(PyObject *object, PyObject *args)
{
    PyObject *session;
    int client, target = -1;
    if (!PyArg_ParseTuple(args, "O!i|i", session_type, &session, &client, &target))
        return NULL;
    if (client < 0 || (target < 0 && PyTuple_Size(args) > 2)) {
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
    if (poller_know(pair->poller, client, pair) < 0 || (target >= 0 && poller_know(pair->poller, target, pair) < 0)) {
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
    {"greet_by", poller_greet_by, METH_O, NULL},
    {"greet", poller_greet, METH_NOARGS, NULL},
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

/* read_client(): from now on, the client's socket may be read and the target's written to without Python. */
static PyObject *pair_read_client(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Pair *)self)->reads_client = ((Pair *)self)->client >= 0;
    Py_RETURN_NONE;
}

/* read_target(): the same from the target to the client. */
static PyObject *pair_read_target(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ((Pair *)self)->reads_target = ((Pair *)self)->target >= 0;
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

static PyObject *pair_has_events(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Pair *)self)->client_flags || ((Pair *)self)->target_flags);
}

static void part(Pair *self)
{
    self->reads_client = self->reads_target = 0;
    if (self->client >= 0) {
        poller_forget(self->poller, self->client, self);
        if (self->target >= 0)
            poller_forget(self->poller, self->target, self);
        self->client = self->target = -1;
    }
}

/* part(): one of the sockets is about to be closed. */
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
    {"has_events", pair_has_events, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot pair_slots[] = {
    {Py_tp_dealloc, pair_dealloc}, {Py_tp_methods, pair_methods}, {Py_tp_getset, pair_members}, {0, NULL},
};
static PyType_Spec pair_spec = {
    "hatchway.transport.core._core.Pair", sizeof(Pair), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    pair_slots};
