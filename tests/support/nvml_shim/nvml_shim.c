/* A stand-in for the driver's libnvidia-ml.so.1, played from a script.
 *
 * Environment: NVML_SHIM_SCRIPT names the script, NVML_SHIM_LOG a file that gets the name of every function called.
 *
 * The script has one `key=value` a line. Before the first device:
 *     driver=580.126.09
 *     fail=FUNCTION CODE N      from its N-th call on FUNCTION returns CODE; field.74 for FUNCTION: that field's own
 * `device=UUID` begins a device; the lines after it are that device's:
 *     name=... pci=... mig_parent=UUID
 *     fail=FUNCTION CODE N      for this device only
 *     processes=PID:BYTES ...   a list of processes; further lines are what later calls see. PID may be `self`, BYTES
 *                               `unknown`
 *     KEY=N N N                 a figure: next value at every call, the last one stays. A figure that is not named is
 *                               not supported. KEY: total, used, energy, temperature, sm_clock, sm_clock_max, mig_mode,
 *                               power_limit, power_limit_default, ecc, field.74 (any field's number); value_type: 1
 *                               makes the fields doubles; xids: 0 is none
 *     used_ms=MS:BYTES ...      used bytes by the milliseconds since the library was started, in place of `used`
 *
 * Layouts are those of NVIDIA's nvml.h (as bound by nvidia-ml-py 13.615); shim_sizeof() lets a test compare them.
 * Built with -DWITHOUT_V3 it lacks nvmlDeviceGetComputeRunningProcesses_v3, like the library of an old driver.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10 };
enum { DEVICES = 8, FIGURES = 32, VALUES = 64, LISTS = 16, PROCESSES = 16, FAILURES = 32, TEXT = 96, LINE = 4096 };

typedef unsigned long long u64;

typedef struct { u64 total, free, used; } nvmlMemory_t;
typedef struct { unsigned pid; u64 usedGpuMemory; unsigned gpuInstanceId, computeInstanceId; } nvmlProcessInfo_t;
typedef struct {
    char busIdLegacy[16];
    unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;
typedef union { double d; unsigned ui; unsigned long ul; u64 ull; long long sll; int si; } nvmlValue_t;
typedef struct {
    unsigned fieldId, scopeId;
    long long timestamp, latencyUsec;
    unsigned valueType, nvmlReturn;
    nvmlValue_t value;
} nvmlFieldValue_t;
typedef struct { void *device; u64 eventType, eventData; unsigned gpuInstanceId, computeInstanceId; } nvmlEventData_t;

typedef struct { char key[TEXT]; u64 values[VALUES]; u64 at_ms[VALUES]; int count, next; } Figure;
typedef struct { int count; unsigned pid[PROCESSES]; u64 used[PROCESSES]; } List;
typedef struct {
    char uuid[TEXT], name[TEXT], pci[32], mig_parent[TEXT];
    Figure figures[FIGURES];
    int figure_count;
    List lists[LISTS];
    int list_count, next_list, watched;
} Device;
typedef struct { char function[TEXT]; int code, from, calls; const Device *only; } Failure;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Device devices[DEVICES];
static int device_count, loaded, started, event_set;
static Failure failures[FAILURES];
static int failure_count;
static char driver[TEXT] = "580.126.09";
static struct timespec start;

static void stop(const char *line) { fprintf(stderr, "nvml_shim: cannot read %s\n", line); exit(97); }

static void copy(char *to, const char *from, size_t size) {
    if (strlen(from) >= size) stop(from);
    strcpy(to, from);
}

static void read_figure(Device *device, const char *key, char *text) {
    if (device->figure_count == FIGURES) stop(key);
    Figure *figure = &device->figures[device->figure_count++];
    copy(figure->key, key, TEXT);
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strchr(word, ':');
        if (figure->count == VALUES) stop(key);
        figure->at_ms[figure->count] = colon ? strtoull(word, NULL, 10) : 0;
        figure->values[figure->count++] = strtoull(colon ? colon + 1 : word, NULL, 10);
    }
    if (!figure->count) stop(key);
}

static void read_processes(Device *device, char *text) {
    if (device->list_count == LISTS) stop(text);
    List *list = &device->lists[device->list_count++];
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *colon = strchr(word, ':');
        if (!colon || list->count == PROCESSES) stop(word);
        list->pid[list->count] = strncmp(word, "self:", 5) ? (unsigned)strtoul(word, NULL, 10) : (unsigned)getpid();
        list->used[list->count++] = strcmp(colon, ":unknown") ? strtoull(colon + 1, NULL, 10) : ~0ULL;
    }
}

static void read_line(char *line) {
    char *value = strchr(line, '=');
    Device *device = device_count ? &devices[device_count - 1] : NULL;
    if (!value) stop(line);
    *value++ = 0;
    if (!strcmp(line, "fail")) {
        Failure *failure = &failures[failure_count++];
        failure->only = device;
        if (failure_count == FAILURES) stop(value);
        if (sscanf(value, "%95s %d %d", failure->function, &failure->code, &failure->from) != 3) stop(value);
    } else if (!strcmp(line, "device")) {
        if (device_count == DEVICES) stop(value);
        copy(devices[device_count++].uuid, value, TEXT);
    } else if (!device) {
        if (strcmp(line, "driver")) stop(line);
        copy(driver, value, TEXT);
    } else if (!strcmp(line, "name")) copy(device->name, value, TEXT);
    else if (!strcmp(line, "pci")) copy(device->pci, value, sizeof device->pci);
    else if (!strcmp(line, "mig_parent")) copy(device->mig_parent, value, TEXT);
    else if (!strcmp(line, "processes")) read_processes(device, value);
    else read_figure(device, line, value);
}

static void read_script(void) {
    if (loaded++) return;
    const char *path = getenv("NVML_SHIM_SCRIPT");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[LINE];
    if (!file) stop("NVML_SHIM_SCRIPT");
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) read_line(line);
    }
    fclose(file);
    clock_gettime(CLOCK_MONOTONIC, &start);
}

/* Return the code that the script has for this call of a function (or this reading of a field), or SUCCESS. */
static int scripted(const char *function, const void *device) {
    for (Failure *failure = failures; failure < failures + failure_count; failure++) {
        if (strcmp(failure->function, function) || (failure->only && failure->only != device)) continue;
        if (++failure->calls >= failure->from) return failure->code;
    }
    return SUCCESS;
}

/* Log the call; return the code the script has for it, or SUCCESS. The lock is held until LEAVE. */
static int enter(const char *function, const void *device) {
    const char *path = getenv("NVML_SHIM_LOG");
    pthread_mutex_lock(&lock);
    read_script();
    if (path) {
        char line[TEXT + 1];
        int file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
        int length = snprintf(line, sizeof line, "%s\n", function);
        if (file < 0 || write(file, line, (size_t)length) != length) stop(path);
        close(file);
    }
    int code = scripted(function, device);
    if (code) return code;
    return started || !strncmp(function, "nvmlInit", 8) ? SUCCESS : UNINITIALIZED;
}

#define LEAVE(code) do { int answer = (code); pthread_mutex_unlock(&lock); return answer; } while (0)
#define ENTER(device) do { int code = enter(__func__, device); if (code) LEAVE(code); } while (0)

static Figure *figure_of(Device *device, const char *key) {
    for (int i = 0; i < device->figure_count; i++)
        if (!strcmp(device->figures[i].key, key)) return &device->figures[i];
    return NULL;
}

static int next_value(Device *device, const char *key, u64 *value) {
    Figure *figure = figure_of(device, key);
    if (!figure) return NOT_SUPPORTED;
    *value = figure->values[figure->next];
    if (figure->next + 1 < figure->count) figure->next++;
    return SUCCESS;
}

static int used_now(Device *device, u64 *value) {
    Figure *timed = figure_of(device, "used_ms");
    if (!timed) return next_value(device, "used", value);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ms = (now.tv_sec - start.tv_sec) * 1000LL + (now.tv_nsec - start.tv_nsec) / 1000000;
    int i = 0;
    while (i + 1 < timed->count && (long long)timed->at_ms[i + 1] <= ms) i++;
    *value = timed->values[i];
    return SUCCESS;
}

static int next_unsigned(Device *device, const char *key, unsigned *value) {
    u64 wide = 0;
    int code = next_value(device, key, &wide);
    if (!code) *value = (unsigned)wide;
    return code;
}

static int text_out(const char *text, char *to, unsigned size) {
    if (strlen(text) >= size) return TOO_SMALL;
    strcpy(to, text);
    return SUCCESS;
}

static Device *with_uuid(const char *uuid) {
    for (int i = 0; i < device_count; i++)
        if (!strcmp(devices[i].uuid, uuid)) return &devices[i];
    return NULL;
}

static int found(Device *device, Device **out) {
    if (device) *out = device;
    return device ? SUCCESS : NOT_FOUND;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER(NULL); started = 1; LEAVE(SUCCESS); }
int nvmlInit_v2(void) { ENTER(NULL); started = 1; LEAVE(SUCCESS); }
int nvmlShutdown(void) { ENTER(NULL); started = 0; LEAVE(SUCCESS); }
const char *nvmlErrorString(int code) { return code == 999 ? "Unknown Error" : "Scripted Error"; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { ENTER(NULL); LEAVE(text_out(driver, to, size)); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER(NULL);
    *count = 0;
    for (int i = 0; i < device_count; i++) *count += !*devices[i].mig_parent;
    LEAVE(SUCCESS);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    ENTER(NULL);
    for (int i = 0; i < device_count; i++)
        if (!*devices[i].mig_parent && !index--) LEAVE(found(&devices[i], out));
    LEAVE(INVALID);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **out) { ENTER(NULL); LEAVE(found(with_uuid(uuid), out)); }

int nvmlDeviceGetHandleByPciBusId_v2(const char *text, Device **out) {
    unsigned wanted[3], own[3];
    ENTER(NULL);
    if (sscanf(text, "%x:%x:%x", &wanted[0], &wanted[1], &wanted[2]) != 3) LEAVE(INVALID);
    for (int i = 0; i < device_count; i++) {
        if (*devices[i].mig_parent || sscanf(devices[i].pci, "%x:%x:%x", &own[0], &own[1], &own[2]) != 3) continue;
        if (!memcmp(wanted, own, sizeof own)) LEAVE(found(&devices[i], out));
    }
    LEAVE(NOT_FOUND);
}

int nvmlDeviceGetName(Device *device, char *to, unsigned size) {
    ENTER(device);
    LEAVE(text_out(device->name, to, size));
}

int nvmlDeviceGetUUID(Device *device, char *to, unsigned size) {
    ENTER(device);
    LEAVE(text_out(device->uuid, to, size));
}

int nvmlDeviceGetPciInfo_v3(Device *device, nvmlPciInfo_t *out) {
    ENTER(device);
    memset(out, 0, sizeof *out);
    copy(out->busId, device->pci, sizeof out->busId);
    if (sscanf(device->pci, "%x:%x:%x", &out->domain, &out->bus, &out->device) != 3) LEAVE(NOT_SUPPORTED);
    LEAVE(SUCCESS);
}

int nvmlDeviceIsMigDeviceHandle(Device *device, unsigned *out) {
    ENTER(device);
    *out = *device->mig_parent != 0;
    LEAVE(SUCCESS);
}

int nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    ENTER(device);
    int code = next_unsigned(device, "mig_mode", current);
    *pending = *current;
    LEAVE(code);
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *device, Device **out) {
    ENTER(device);
    LEAVE(*device->mig_parent ? found(with_uuid(device->mig_parent), out) : INVALID);
}

int nvmlDeviceGetMemoryInfo(Device *device, nvmlMemory_t *out) {
    ENTER(device);
    int code = next_value(device, "total", &out->total);
    if (!code) code = used_now(device, &out->used);
    if (!code) out->free = out->total - out->used;
    LEAVE(code);
}

#ifndef WITHOUT_V3
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, nvmlProcessInfo_t *out) {
    ENTER(device);
    if (!device->list_count) LEAVE(NOT_SUPPORTED);
    List *list = &device->lists[device->next_list];
    unsigned room = *count;
    *count = (unsigned)list->count;
    if (room < *count) LEAVE(TOO_SMALL); /* the caller asks again with room: the same list */
    for (int i = 0; i < list->count; i++)
        out[i] = (nvmlProcessInfo_t){list->pid[i], list->used[i], ~0U, ~0U};
    if (device->next_list + 1 < device->list_count) device->next_list++;
    LEAVE(SUCCESS);
}
#endif

int nvmlDeviceGetTotalEnergyConsumption(Device *device, u64 *out) {
    ENTER(device);
    LEAVE(next_value(device, "energy", out));
}

int nvmlDeviceGetFieldValues(Device *device, int count, nvmlFieldValue_t *values) {
    ENTER(device);
    for (int i = 0; i < count; i++) {
        char key[TEXT];
        snprintf(key, sizeof key, "field.%u", values[i].fieldId);
        values[i].valueType = figure_of(device, "value_type") ? 0 : 3; /* a double, or unsigned long long */
        values[i].nvmlReturn = (unsigned)scripted(key, device);
        if (!values[i].nvmlReturn) values[i].nvmlReturn = (unsigned)next_value(device, key, &values[i].value.ull);
    }
    LEAVE(SUCCESS);
}

int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *out) {
    ENTER(device);
    LEAVE(sensor == 0 ? next_unsigned(device, "temperature", out) : INVALID);
}

int nvmlDeviceGetClockInfo(Device *device, int clock, unsigned *out) {
    ENTER(device);
    LEAVE(clock == 1 ? next_unsigned(device, "sm_clock", out) : INVALID);
}

int nvmlDeviceGetMaxClockInfo(Device *device, int clock, unsigned *out) {
    ENTER(device);
    LEAVE(clock == 1 ? next_unsigned(device, "sm_clock_max", out) : INVALID);
}

int nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned *out) {
    ENTER(device);
    LEAVE(next_unsigned(device, "power_limit", out));
}

int nvmlDeviceGetPowerManagementDefaultLimit(Device *device, unsigned *out) {
    ENTER(device);
    LEAVE(next_unsigned(device, "power_limit_default", out));
}

int nvmlDeviceGetTotalEccErrors(Device *device, int error, int counter, u64 *out) {
    ENTER(device);
    LEAVE(error == 1 && counter == 0 ? next_value(device, "ecc", out) : INVALID);
}

int nvmlEventSetCreate(void **out) { ENTER(NULL); *out = &event_set; LEAVE(SUCCESS); }
int nvmlEventSetFree(void *set) { (void)set; ENTER(NULL); LEAVE(SUCCESS); }

int nvmlDeviceRegisterEvents(Device *device, u64 types, void *set) {
    ENTER(device);
    device->watched = types == 8; /* XID alone */
    LEAVE(set == &event_set && device->watched ? SUCCESS : INVALID);
}

int nvmlEventSetWait_v2(void *set, nvmlEventData_t *out, unsigned timeout_ms) {
    ENTER(NULL);
    if (set != &event_set || timeout_ms) LEAVE(INVALID);
    for (int i = 0; i < device_count; i++) {
        u64 xid = 0;
        if (!devices[i].watched || next_value(&devices[i], "xids", &xid) || !xid) continue;
        *out = (nvmlEventData_t){&devices[i], 8, xid, ~0U, ~0U};
        LEAVE(SUCCESS);
    }
    LEAVE(TIMEOUT);
}

int shim_sizeof(const char *name) {
    if (!strcmp(name, "c_nvmlMemory_t")) return sizeof(nvmlMemory_t);
    if (!strcmp(name, "c_nvmlProcessInfo_v3_t")) return sizeof(nvmlProcessInfo_t);
    if (!strcmp(name, "nvmlPciInfo_t")) return sizeof(nvmlPciInfo_t);
    if (!strcmp(name, "c_nvmlFieldValue_t")) return sizeof(nvmlFieldValue_t);
    if (!strcmp(name, "c_nvmlEventData_t")) return sizeof(nvmlEventData_t);
    return -1;
}
