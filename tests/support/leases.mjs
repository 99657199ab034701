/* Whose lease may have run out: of each edge at each server, as somebody reckons who only knows which edges run and which ways
 * are open. People of an edge that may be condemned are right to be missed, in that server's channels; no others are. */

import { H, MACHINE } from './fleet.mjs';

const LATE = MACHINE / 2; /* a heartbeat that is due may be so late, and the lease runs from the one before it */
const HEALED = 2 * H; /* an edge that can speak again has renewed its lease within that (presence.md) */
const LOOK_MS = 20;

export class Leases {
    /* lease_ms: presence.lease_ms of its edges. */
    constructor(fleet, lease_ms) {
        Object.assign(this, { fleet, lease_ms, clocks: fleet.servers.map(() => 0), leases: new Map(), last: Date.now() });
        fleet.leases = this;
        this.timer = setInterval(() => this.look(), LOOK_MS).unref();
    }

    speaks(edge, server) {
        return !edge.gone && !edge.still && !this.fleet.links.get(edge)[server].held;
    }

    of(edge) {
        if (!this.leases.has(edge))
            this.leases.set(edge, this.clocks.map((clock) => ({ renewed: clock, speaksSince: -Infinity, isOut: false })));
        return this.leases.get(edge);
    }

    /* A server's lease clock stands still while no edge speaks to it. */
    look() {
        const now = Date.now();
        const edges = this.fleet.running;
        this.clocks = this.clocks.map((clock, server) => clock + (edges.some((edge) => this.speaks(edge, server)) ? now - this.last : 0));
        this.last = now;
        for (const edge of edges)
            this.judge(edge, now);
    }

    judge(edge, now) {
        const leases = this.of(edge);
        const before = leases.filter(({ isOut }) => isOut).length;
        leases.forEach((lease, server) => {
            const speaks = this.speaks(edge, server);
            lease.speaksSince = speaks ? lease.speaksSince ?? now : null;
            if (speaks && now - lease.speaksSince >= HEALED)
                lease.renewed = this.clocks[server];
            lease.isOut = !speaks && this.clocks[server] - lease.renewed >= this.lease_ms - LATE;
        });
        const out = leases.filter(({ isOut }) => isOut).length;
        if (out > before)
            this.fleet.crowd.away(edge, (channel) => leases[this.fleet.homeOf(channel)].isOut);
        else if (out === 0 && before > 0)
            this.fleet.crowd.back(edge, HEALED);
    }

    stop() {
        clearInterval(this.timer);
    }
}
