/* Chance that can be had again: everything drawn follows from the seed. */

export class Random {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    /* A number from 0 up to 1 (mulberry32). */
    next() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n) {
        return Math.floor(this.next() * n);
    }

    chance(probability) {
        return this.next() < probability;
    }

    pick(list) {
        return list[this.below(list.length)];
    }

    /* One of [[weight, value]…]. */
    weighted(choices) {
        let at = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
        return choices.find(([weight]) => (at -= weight) < 0)?.[1] ?? choices.at(-1)[1];
    }
}
