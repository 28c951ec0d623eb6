/* Part of _core.c. A queue of bytes, like ssl.MemoryBIO. */

/* Returns 0, or -1 if memory ran out. */
static int queue_append(Queue *queue, const void *bytes, size_t size)
{
    if (size == 0)
        return 0;
    if (queue->start == queue->end)
        queue->start = queue->end = 0;
    if (queue->room - queue->end < size) {
        size_t held = queue->end - queue->start;
        size_t room = held + size < 512 ? 512 : (held + size) * 2;
        unsigned char *grown = malloc(room);
        if (grown == NULL)
            return -1;
        if (held)
            memcpy(grown, queue->bytes + queue->start, held);
        free(queue->bytes);
        queue->bytes = grown;
        queue->start = 0;
        queue->end = held;
        queue->room = room;
    }
    memcpy(queue->bytes + queue->end, bytes, size);
    queue->end += size;
    return 0;
}

/* Remove `size` bytes; free the memory with the last of them, because most connections are idle. */
static void queue_skip(Queue *queue, size_t size)
{
    queue->start += size;
    if (queue->start == queue->end) {
        free(queue->bytes);
        queue->bytes = NULL;
        queue->start = queue->end = queue->room = 0;
    }
}

static void queue_dealloc(PyObject *self)
{
    free(((Queue *)self)->bytes);
    dealloc(self);
}

static PyObject *queue_write(PyObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t size = view.len;
    int failed = queue_append((Queue *)self, view.buf, (size_t)size);
    PyBuffer_Release(&view);
    return failed ? PyErr_NoMemory() : PyLong_FromSsize_t(size);
}

static PyObject *queue_read(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Queue *queue = (Queue *)self;
    size_t size = queue->end - queue->start;
    PyObject *read = PyBytes_FromStringAndSize((char *)queue->bytes + queue->start, (Py_ssize_t)size);
    if (read != NULL)
        queue_skip(queue, size);
    return read;
}

static PyObject *queue_pending(PyObject *self, void *Py_UNUSED(closure))
{
    Queue *queue = (Queue *)self;
    return PyLong_FromSize_t(queue->end - queue->start);
}

static PyMethodDef queue_methods[] = {
    {"write", queue_write, METH_O, NULL},
    {"read", queue_read, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef queue_members[] = {{"pending", queue_pending, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot queue_slots[] = {
    {Py_tp_dealloc, queue_dealloc}, {Py_tp_methods, queue_methods}, {Py_tp_getset, queue_members}, {0, NULL},
};
static PyType_Spec queue_spec = {
    "hatchway.transport.core._core.Queue", sizeof(Queue), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    queue_slots};
