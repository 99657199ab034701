/* A folder that is gone when the test's process ends. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function temporaryFolder() {
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-test-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    return folder;
}
