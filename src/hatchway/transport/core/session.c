/* Part of _core.c. A TLS session: like ssl.SSLObject, and it passes its bytes on. */

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

/* read(size, buffer): returns how many bytes; 0 at the end of TLS. */
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

/* verify_result(): OpenSSL's verdict on the peer's certificate: a code (x509_vfy.h), 0 if it is valid, and a text. */
static PyObject *session_verify_result(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    long code = SSL_get_verify_result(((Session *)object)->ssl);
    return Py_BuildValue("ls", code, X509_verify_cert_error_string(code));
}

static PyObject *session_pending(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(SSL_pending(((Session *)object)->ssl));
}

/* End TLS. Raises until the peer has ended it too. */
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

/* enter(stub, record_left, records): Python's state of the records, before `pump` goes on. */
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

/* leave(): the same, before Python goes on. */
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

/* greet(client, direct, encrypted) */
static PyObject *session_greet(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "greet takes three arguments");
        return NULL;
    }
    long client = PyLong_AsLong(args[0]), direct = PyLong_AsLong(args[1]);
    if (PyErr_Occurred())
        return NULL;
    int flags = greet((Session *)object, (int)client, (int)direct, args[2]);
    return flags < 0 ? NULL : PyLong_FromLong(flags);
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

/* Whether `greet` has completed the handshake. */
static PyObject *session_is_open(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Session *)self)->is_open);
}

static PyGetSetDef session_members[] = {
    {"is_open", session_is_open, NULL, NULL, NULL},
    {"incoming", session_incoming, NULL, NULL, NULL},
    {"outgoing", session_outgoing, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef session_methods[] = {
    {"do_handshake", session_do_handshake, METH_NOARGS, NULL},
    {"read", session_read, METH_VARARGS, NULL},
    {"write", session_write, METH_O, NULL},
    {"verify_result", session_verify_result, METH_NOARGS, NULL},
    {"pending", session_pending, METH_NOARGS, NULL},
    {"unwrap", session_unwrap, METH_NOARGS, NULL},
    {"enter", session_enter, METH_VARARGS, NULL},
    {"leave", session_leave, METH_NOARGS, NULL},
    {"pump", (PyCFunction)(void (*)(void))session_pump, METH_FASTCALL, NULL},
    {"greet", (PyCFunction)(void (*)(void))session_greet, METH_FASTCALL, NULL},
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
