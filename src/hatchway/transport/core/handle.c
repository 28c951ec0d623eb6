/* Part of _core.c. A call that the event loop will make: what asyncio.Handle and asyncio.TimerHandle are in Python. */

typedef struct {
    PyObject_HEAD
    PyObject *loop, *callback, *arguments, *context; /* callback and arguments are NULL once it is cancelled */
    double when;
    char is_scheduled; /* whether it is one of the loop's timers */
} Handle;

/* A new handle with a tuple of arguments. It runs in a copy of the present context if `context` is None. */
static Handle *new_handle(PyObject *loop, PyObject *callback, PyObject *arguments, PyObject *context)
{
    PyObject *in = context == Py_None ? PyObject_CallNoArgs(copy_context) : Py_NewRef(context);
    Handle *self = in == NULL ? NULL : (Handle *)PyType_GenericAlloc(handle_type, 0);
    if (self == NULL) {
        Py_XDECREF(in);
        return NULL;
    }
    self->loop = Py_NewRef(loop);
    self->callback = Py_NewRef(callback);
    self->arguments = Py_NewRef(arguments);
    self->context = in;
    return self;
}

/* handle(loop, callback, arguments, context, when): `when` is None unless it is one of the loop's timers. */
static PyObject *handle_new(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    if (count != 5 || !PyTuple_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "a handle is of a loop, a callback, a tuple, a context or None, a time or None");
        return NULL;
    }
    double when = given[4] == Py_None ? 0.0 : PyFloat_AsDouble(given[4]);
    if (when == -1.0 && PyErr_Occurred())
        return NULL;
    Handle *self = new_handle(given[0], given[1], given[2], given[3]);
    if (self == NULL)
        return NULL;
    self->when = when;
    self->is_scheduled = given[4] != Py_None;
    return (PyObject *)self;
}

static int handle_traverse(PyObject *object, visitproc visit, void *arg)
{
    Handle *self = (Handle *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->arguments);
    Py_VISIT(self->context);
    return 0;
}

static int handle_clear(PyObject *object)
{
    Handle *self = (Handle *)object;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->context);
    return 0;
}

static void handle_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    handle_clear(object);
    dealloc(object);
}

static PyObject *handle_cancel(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Handle *self = (Handle *)object;
    if (self->callback == NULL)
        Py_RETURN_NONE;
    if (self->is_scheduled) {
        /* The loop counts them, to remove them from its timers. */
        PyObject *noted = PyObject_CallMethodObjArgs(self->loop, cancelled_name, object, NULL);
        if (noted == NULL)
            return NULL;
        Py_DECREF(noted);
    }
    Py_CLEAR(self->callback);
    Py_CLEAR(self->arguments);
    Py_RETURN_NONE;
}

static PyObject *handle_is_cancelled(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Handle *)self)->callback == NULL);
}

/* Where it was made: asyncio's handles note that in debug mode. */
static PyObject *handle_nothing(PyObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    Py_RETURN_NONE;
}

static PyObject *handle_cancelled(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return handle_is_cancelled(self, NULL);
}

static PyObject *handle_when(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble(((Handle *)self)->when);
}

static PyObject *call_in(PyObject *context, PyObject *callback, PyObject *arguments)
{
    switch (PyTuple_Size(arguments)) {
    case 0:
        return PyObject_CallMethodObjArgs(context, run_name, callback, NULL);
    case 1:
        return PyObject_CallMethodObjArgs(context, run_name, callback, PyTuple_GetItem(arguments, 0), NULL);
    case 2:
        return PyObject_CallMethodObjArgs(context, run_name, callback, PyTuple_GetItem(arguments, 0),
                                          PyTuple_GetItem(arguments, 1), NULL);
    }
    PyObject *result = NULL, *run = PyObject_GetAttr(context, run_name), *first = PyTuple_Pack(1, callback);
    PyObject *all = first == NULL ? NULL : PySequence_Concat(first, arguments);
    if (run != NULL && all != NULL)
        result = PyObject_Call(run, all, NULL);
    Py_XDECREF(run);
    Py_XDECREF(first);
    Py_XDECREF(all);
    return result;
}

/* Make the call. The loop's `failed` handles what it raises, except exceptions that end the program. */
static PyObject *handle_run(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Handle *self = (Handle *)object;
    if (self->callback == NULL)
        Py_RETURN_NONE;
    /* What it calls may cancel it. */
    PyObject *callback = Py_NewRef(self->callback), *arguments = Py_NewRef(self->arguments);
    PyObject *result = call_in(self->context, callback, arguments);
    if (result == NULL && !PyErr_ExceptionMatches(PyExc_SystemExit) && !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyObject *type, *problem, *traceback;
        PyErr_Fetch(&type, &problem, &traceback);
        PyErr_NormalizeException(&type, &problem, &traceback);
        if (traceback != NULL)
            PyException_SetTraceback(problem, traceback);
        result = PyObject_CallMethod(self->loop, "failed", "OOO", object, callback, problem);
        Py_XDECREF(type);
        Py_XDECREF(problem);
        Py_XDECREF(traceback);
    }
    Py_DECREF(callback);
    Py_DECREF(arguments);
    return result;
}

/* Which is due first: the comparison that a heap needs. */
static PyObject *handle_compare(PyObject *self, PyObject *other, int operation)
{
    if (operation != Py_LT || Py_TYPE(other) != handle_type)
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong(((Handle *)self)->when < ((Handle *)other)->when);
}

static PyMethodDef handle_methods[] = {
    {"cancel", handle_cancel, METH_NOARGS, NULL},
    {"cancelled", handle_cancelled, METH_NOARGS, NULL},
    {"when", handle_when, METH_NOARGS, NULL},
    {"_run", handle_run, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
/* Under the names that asyncio's loop uses for its own. */
static PyMemberDef handle_members[] = {
    {"_callback", T_OBJECT, offsetof(Handle, callback), READONLY, NULL},
    {"_when", T_DOUBLE, offsetof(Handle, when), READONLY, NULL},
    {"_scheduled", T_BOOL, offsetof(Handle, is_scheduled), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyGetSetDef handle_told[] = {
    {"_source_traceback", handle_nothing, NULL, NULL, NULL},
    {"_cancelled", handle_is_cancelled, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot handle_slots[] = {
    {Py_tp_dealloc, handle_dealloc}, {Py_tp_traverse, handle_traverse}, {Py_tp_clear, handle_clear},
    {Py_tp_methods, handle_methods}, {Py_tp_members, handle_members}, {Py_tp_getset, handle_told},
    {Py_tp_richcompare, handle_compare}, {0, NULL},
};
static PyType_Spec handle_spec = {
    "hatchway.transport.core._core.Handle", sizeof(Handle), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, handle_slots};
