/* What the kernel knows of a process: its CPU time, its memory, its descriptors. */

import { readFileSync, readdirSync } from 'node:fs';

function read(path) {
    try {
        return readFileSync(path, 'utf8');
    } catch {
        return null;
    }
}

/* Nanoseconds on a CPU of all threads, user and system. schedstat counts what utime and stime of /proc/PID/stat
 * count, but not rounded to ticks of 10 ms. */
export function cpuNs(pid) {
    let sum = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const text = read(`/proc/${pid}/task/${thread}/schedstat`);
        if (text === null)
            return cpuTicksNs(pid);
        sum += Number(text.split(' ')[0]);
    }
    return sum;
}

function cpuTicksNs(pid) {
    const fields = read(`/proc/${pid}/stat`).replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 1e7;
}

/* Bytes of memory: resident, and the share of it that is this process' own. */
export function memory(pid) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const bytes = (name) => Number(text.match(new RegExp(`^${name}: +(\\d+) kB`, 'm'))[1]) * 1024;
    return { rss: bytes('Rss'), pss: bytes('Pss') };
}

export function descriptors(pid) {
    return readdirSync(`/proc/${pid}/fd`).length;
}

/* Until the process has nothing more to do: two looks in a row at which it had used less than 1 % of a core. */
export async function quiet(pid, ms = 60_000) {
    const end = Date.now() + ms;
    let calm = 0;
    let before = cpuNs(pid);
    let at = performance.now();
    while (calm < 2) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const after = cpuNs(pid);
        const now = performance.now();
        calm = (after - before) / ((now - at) * 1e6) < 0.01 ? calm + 1 : 0;
        before = after;
        at = now;
        if (Date.now() > end)
            throw new Error(`process ${pid} is still busy after ${ms} ms`);
    }
}
