/* The table at the end. */

import { cpus, release } from 'node:os';

export function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/* A measure of pairs [floor, rollcall]: the ratio is the median of the pairs' ratios. */
export function paired(name, unit, pairs, target = null) {
    const ratio = median(pairs.map(([floor, rollcall]) => rollcall / floor));
    return {
        name,
        unit,
        floor: median(pairs.map(([floor]) => floor)),
        rollcall: median(pairs.map(([, rollcall]) => rollcall)),
        ratio,
        target: target && `<= ${target} x`,
        reached: target === null ? null : ratio <= target,
        pairs,
    };
}

/* A measure of rollcall alone. */
export function single(name, unit, values, target = null, floor = null) {
    const rollcall = median(values);
    return {
        name,
        unit,
        floor,
        rollcall,
        ratio: null,
        target: target === null ? null : `<= ${target}`,
        reached: target === null ? null : rollcall <= target,
        values,
    };
}

export function machine() {
    return { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, kernel: release(), node: process.version };
}

function number(value) {
    if (value === null)
        return '';
    const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function row(measure) {
    return [
        measure.name,
        measure.unit,
        number(measure.floor),
        number(measure.rollcall),
        measure.ratio === null ? '' : number(measure.ratio),
        measure.target ?? '',
        measure.reached === null ? '' : measure.reached ? 'reached' : 'MISSED',
    ];
}

export function table(measures) {
    const rows = [['measure', 'unit', 'floor', 'rollcall', 'ratio', 'target', ''], ...measures.map(row)];
    const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
    const left = (column) => column < 2 || column > 4;
    const line = (cells) => cells.map((cell, column) =>
        left(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column])).join('  ').trimEnd();
    return rows.map(line).join('\n');
}
