/* Part of _core.c. What an event loop does for each call that it makes: the methods of asyncio.BaseEventLoop that it
   calls most often. */

#define MANY_TIMERS 100     /* with so many timers or more, cancelled ones are removed if they are more than half */
#define LONGEST_WAIT 86400.0 /* seconds, as in asyncio */

/* Raise if the loop is closed; returns -1 then. */
static int check_open(PyObject *loop)
{
    PyObject *closed = PyObject_GetAttr(loop, closed_name);
    int is_closed = closed == NULL ? -1 : PyObject_IsTrue(closed);
    Py_XDECREF(closed);
    if (is_closed > 0)
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return is_closed ? -1 : 0;
}

/* A handle for what a loop is asked to call: value `first` is the callback, and its arguments follow. */
static Handle *asked_for(PyObject *loop, PyObject *const *given, Py_ssize_t count, PyObject *names, Py_ssize_t first)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_Size(names);
    if (count <= first || named > 1
        || (named && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "context") != 0)) {
        PyErr_SetString(PyExc_TypeError, "a loop takes a callback, its arguments, and a context by name");
        return NULL;
    }
    PyObject *arguments = check_open(loop) < 0 ? NULL : PyTuple_New(count - first - 1);
    if (arguments == NULL)
        return NULL;
    for (Py_ssize_t at = first + 1; at < count; at++)
        PyTuple_SetItem(arguments, at - first - 1, Py_NewRef(given[at]));
    Handle *handle = new_handle(loop, given[first], arguments, named ? given[count] : Py_None);
    Py_DECREF(arguments);
    return handle;
}

/* call_soon(callback, *arguments, context=None) */
static PyObject *loop_call_soon(PyObject *loop, PyObject *const *given, Py_ssize_t count, PyObject *names)
{
    Handle *handle = asked_for(loop, given, count, names, 0);
    PyObject *ready = handle == NULL ? NULL : PyObject_GetAttr(loop, ready_name);
    PyObject *appended = ready == NULL ? NULL : PyObject_CallMethodObjArgs(ready, append_name, (PyObject *)handle, NULL);
    Py_XDECREF(ready);
    if (appended == NULL) {
        Py_XDECREF((PyObject *)handle);
        return NULL;
    }
    Py_DECREF(appended);
    return (PyObject *)handle;
}

static double seconds(void)
{
    return (double)now() * 1e-9;
}

/* Call it at `when` plus `given[0]`, which is a number. */
static PyObject *call_at(PyObject *loop, double since, PyObject *const *given, Py_ssize_t count, PyObject *names)
{
    double when = count < 1 ? 0.0 : PyFloat_AsDouble(given[0]);
    if (when == -1.0 && PyErr_Occurred())
        return NULL;
    Handle *handle = asked_for(loop, given, count, names, 1);
    if (handle == NULL)
        return NULL;
    handle->when = since + when;
    handle->is_scheduled = 1;
    PyObject *timers = PyObject_GetAttr(loop, scheduled_name);
    PyObject *pushed = timers == NULL ? NULL : PyObject_CallFunctionObjArgs(heappush, timers, (PyObject *)handle, NULL);
    Py_XDECREF(timers);
    if (pushed == NULL) {
        Py_DECREF((PyObject *)handle);
        return NULL;
    }
    Py_DECREF(pushed);
    return (PyObject *)handle;
}

/* call_at(when, callback, *arguments, context=None) */
static PyObject *loop_call_at(PyObject *loop, PyObject *const *given, Py_ssize_t count, PyObject *names)
{
    return call_at(loop, 0.0, given, count, names);
}

/* call_later(delay, callback, *arguments, context=None) */
static PyObject *loop_call_later(PyObject *loop, PyObject *const *given, Py_ssize_t count, PyObject *names)
{
    return call_at(loop, seconds(), given, count, names);
}

/* The timer that is due first, borrowed; NULL if there is none, or with an exception. */
static Handle *first_timer(PyObject *timers)
{
    if (PyList_Size(timers) <= 0)
        return NULL;
    PyObject *first = PyList_GetItem(timers, 0);
    if (first != NULL && Py_TYPE(first) != handle_type) {
        PyErr_SetString(PyExc_TypeError, "a timer is none of the core's");
        return NULL;
    }
    return (Handle *)first;
}

/* Remove it, and append it to `ready` if that is not NULL. Returns -1 with an exception. */
static int take_timer(PyObject *timers, PyObject *ready)
{
    Handle *handle = (Handle *)PyObject_CallFunctionObjArgs(heappop, timers, NULL);
    if (handle == NULL)
        return -1;
    handle->is_scheduled = 0;
    PyObject *appended = ready == NULL ? Py_NewRef(Py_None)
                                       : PyObject_CallMethodObjArgs(ready, append_name, (PyObject *)handle, NULL);
    Py_DECREF((PyObject *)handle);
    Py_XDECREF(appended);
    return appended == NULL ? -1 : 0;
}

/* Remove cancelled timers: those that would be next, or all of them if they are too many. Returns -1 with an exception.
   */
static int forget_cancelled(PyObject *loop)
{
    PyObject *timers = PyObject_GetAttr(loop, scheduled_name), *counted = NULL;
    long forgotten = 0, failed = timers == NULL || !PyList_Check(timers), left = 0;
    Py_ssize_t size = failed ? 0 : PyList_Size(timers);
    if (!failed && size) {
        counted = PyObject_GetAttr(loop, cancelled_count_name);
        left = counted == NULL ? -1 : PyLong_AsLong(counted);
        Py_XDECREF(counted);
        failed = left == -1 && PyErr_Occurred();
        if (!failed && size > MANY_TIMERS && left * 2 > size) {
            PyObject *cleared = PyObject_CallMethodObjArgs(loop, clear_timers_name, NULL);
            Py_XDECREF(cleared);
            Py_DECREF(timers);
            return cleared == NULL ? -1 : 0;
        }
        for (Handle *first; !failed && (first = first_timer(timers)) != NULL && first->callback == NULL; forgotten++)
            failed = take_timer(timers, NULL) < 0;
        failed = failed || PyErr_Occurred() != NULL;
    }
    Py_XDECREF(timers);
    if (!failed && forgotten) {
        counted = PyLong_FromLong(left - forgotten);
        failed = counted == NULL || PyObject_SetAttr(loop, cancelled_count_name, counted) < 0;
        Py_XDECREF(counted);
    }
    return failed ? -1 : 0;
}

/* How many milliseconds the loop may wait; -1 for ever, -2 with an exception. */
static long wait_for(PyObject *loop, PyObject *ready)
{
    PyObject *stopping = PyObject_GetAttr(loop, stopping_name);
    int is_stopping = stopping == NULL ? -1 : PyObject_IsTrue(stopping);
    Py_XDECREF(stopping);
    if (is_stopping || PyObject_Size(ready) != 0)
        return is_stopping < 0 || PyErr_Occurred() ? -2 : 0;
    PyObject *timers = PyObject_GetAttr(loop, scheduled_name);
    Handle *first = timers == NULL ? NULL : first_timer(timers);
    double when = first == NULL ? 0.0 : first->when;
    Py_XDECREF(timers);
    if (first == NULL)
        return PyErr_Occurred() ? -2 : -1;
    double left = when - seconds();
    left = left > LONGEST_WAIT ? LONGEST_WAIT : left;
    long milliseconds = left > 0 ? (long)(left * 1000) : 0;
    /* Rounded up, so that no timer is called early. */
    return left > (double)milliseconds * 0.001 ? milliseconds + 1 : milliseconds;
}

/* Schedule the timers whose time has come. Returns -1 with an exception. */
static int take_due(PyObject *loop, PyObject *ready)
{
    PyObject *timers = PyObject_GetAttr(loop, scheduled_name);
    Handle *first = timers == NULL ? NULL : first_timer(timers);
    if (first != NULL) {
        double end = seconds() + 1e-9;
        while (first != NULL && first->when < end && take_timer(timers, ready) == 0)
            first = first_timer(timers);
    }
    Py_XDECREF(timers);
    return PyErr_Occurred() ? -1 : 0;
}

/* Make all calls that are due now, but not those that they schedule. Returns -1 with an exception. */
static int call_all(PyObject *ready)
{
    Py_ssize_t left = PyObject_Size(ready);
    PyObject *popleft = left > 0 ? PyObject_GetAttr(ready, popleft_name) : NULL;
    int failed = left < 0 || (left > 0 && popleft == NULL);
    while (!failed && left-- > 0) {
        PyObject *handle = PyObject_CallNoArgs(popleft), *result = NULL;
        if (handle != NULL && Py_TYPE(handle) == handle_type) {
            result = handle_run(handle, NULL);
        } else if (handle != NULL) {
            /* A handle of asyncio's own, for a descriptor that it watches. */
            PyObject *cancelled = PyObject_GetAttr(handle, is_cancelled_name);
            int is_cancelled = cancelled == NULL ? -1 : PyObject_IsTrue(cancelled);
            Py_XDECREF(cancelled);
            result = is_cancelled > 0 ? Py_NewRef(Py_None)
                     : is_cancelled < 0 ? NULL : PyObject_CallMethodObjArgs(handle, run_handle_name, NULL);
        }
        failed = result == NULL;
        Py_XDECREF(result);
        Py_XDECREF(handle);
    }
    Py_XDECREF(popleft);
    return failed ? -1 : 0;
}

/* _run_once(): one turn of the loop, like asyncio's own, which is called in debug mode because it measures each call.
   */
static PyObject *loop_run_once(PyObject *loop, PyObject *Py_UNUSED(ignored))
{
    PyObject *debug = PyObject_GetAttr(loop, debug_name);
    int is_watching = debug == NULL ? -1 : PyObject_IsTrue(debug);
    Py_XDECREF(debug);
    if (is_watching)
        return is_watching < 0 ? NULL : PyObject_CallMethodObjArgs(loop, run_watched_name, NULL);
    PyObject *ready = forget_cancelled(loop) < 0 ? NULL : PyObject_GetAttr(loop, ready_name);
    if (ready == NULL)
        return NULL;
    long milliseconds = wait_for(loop, ready);
    PyObject *poller = milliseconds == -2 ? NULL : PyObject_GetAttr(loop, poller_name);
    PyObject *timeout = poller == NULL ? NULL : PyLong_FromLong(milliseconds);
    PyObject *events = timeout == NULL ? NULL : PyObject_CallMethodObjArgs(poller, poll_name, timeout, NULL);
    Py_XDECREF(timeout);
    Py_XDECREF(poller);
    int failed = events == NULL;
    if (!failed && PyObject_Size(events) > 0) {
        PyObject *taken = PyObject_CallMethodObjArgs(loop, take_events_name, events, NULL);
        failed = taken == NULL;
        Py_XDECREF(taken);
    }
    Py_XDECREF(events);
    failed = failed || take_due(loop, ready) < 0 || call_all(ready) < 0;
    Py_DECREF(ready);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* _timer_handle_cancelled(handle): one of the loop's timers was cancelled. */
static PyObject *loop_timer_cancelled(PyObject *loop, PyObject *Py_UNUSED(handle))
{
    PyObject *counted = PyObject_GetAttr(loop, cancelled_count_name);
    long count = counted == NULL ? -1 : PyLong_AsLong(counted);
    Py_XDECREF(counted);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    counted = PyLong_FromLong(count + 1);
    int failed = counted == NULL || PyObject_SetAttr(loop, cancelled_count_name, counted) < 0;
    Py_XDECREF(counted);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef loop_methods[] = {
    {"call_soon", (PyCFunction)(void (*)(void))loop_call_soon, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"call_at", (PyCFunction)(void (*)(void))loop_call_at, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"call_later", (PyCFunction)(void (*)(void))loop_call_later, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_timer_handle_cancelled", loop_timer_cancelled, METH_O, NULL},
    {"_run_once", loop_run_once, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* complete(type): add these methods to a type of loops. */
static PyObject *complete(PyObject *Py_UNUSED(module), PyObject *type)
{
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "that is no type");
        return NULL;
    }
    for (PyMethodDef *method = loop_methods; method->ml_name != NULL; method++) {
        PyObject *described = PyDescr_NewMethod((PyTypeObject *)type, method);
        int set = described == NULL ? -1 : PyObject_SetAttrString(type, method->ml_name, described);
        Py_XDECREF(described);
        if (set < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}
