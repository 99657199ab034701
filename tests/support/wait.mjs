/* Waiting for what must happen. The time limits are for hangs only: no test passes because time went by. */

export const HANG_MS = process.env.ROLLCALL_SOAK_MINUTES === undefined ? 20_000 : 60_000; /* leases are longer in a soak */

/* The promise's value, or an error that names what did not come. `what` may be a function, asked when it is late. */
export function within(promise, what, ms = HANG_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            const words = typeof what === 'function' ? what() : what;
            reject(new Error(`waited ${ms} ms in vain for ${words}`));
        }, ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* Things that arrive in an order, and those who wait for one of them. */
export class Inbox {
    constructor(name) {
        this.name = name;
        this.items = [];
        this.all = []; /* also what was taken; for looking back */
        this.waiting = [];
        this.ended = null;
    }

    push(item) {
        this.all.push(item);
        const i = this.waiting.findIndex((waiter) => waiter.fits(item));
        if (i < 0)
            this.items.push(item);
        else
            this.waiting.splice(i, 1)[0].resolve(item);
    }

    /* Nothing more will come: `why` fails those who still wait. */
    end(why) {
        this.ended = why;
        for (const waiter of this.waiting.splice(0))
            waiter.reject(new Error(`${this.name}: ${why}, while waiting for ${waiter.what}`));
    }

    /* The first item that fits and nobody has taken yet, now or later. */
    next(fits = () => true, what = 'anything') {
        const i = this.items.findIndex(fits);
        if (i >= 0)
            return Promise.resolve(this.items.splice(i, 1)[0]);
        if (this.ended)
            return Promise.reject(new Error(`${this.name}: ${this.ended}, while waiting for ${what}`));
        const came = new Promise((resolve, reject) => this.waiting.push({ fits, resolve, reject, what }));
        return within(came, () => `${what} at ${this.name}; there was ${JSON.stringify(this.all).slice(-800)}`);
    }
}

/* Asks again and again until the answer is true. For states that nobody announces, such as counters. */
export async function until(question, what, ms = HANG_MS) {
    const end = Date.now() + ms;
    for (;;) {
        const answer = await question();
        if (answer)
            return answer;
        if (Date.now() > end)
            throw new Error(`waited ${ms} ms in vain for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
