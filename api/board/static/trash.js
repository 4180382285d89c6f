// Restores deleted tasks, a few at a time: the API has no request that restores several.

const AT_ONCE = 4;

/**
 * Restore tasks, up to a failure.
 *
 * Return those that were restored, those that cannot be any more, and those left after the failure.
 */
export async function restoreAll(api, store, tasks) {
  const outcome = { restored: [], expired: [], left: [...tasks], failure: null };
  const restoreSome = async () => {
    while (outcome.left.length > 0 && !outcome.failure) {
      await restoreOne(api, store, outcome.left.shift(), outcome);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, restoreSome));
  return outcome;
}

async function restoreOne(api, store, task, outcome) {
  try {
    store.wrote(await api.restore(task.id));
    outcome.restored.push(task);
  } catch (failure) {
    if (failure.status === 404) outcome.expired.push(task);
    else {
      outcome.left.push(task);
      outcome.failure ??= failure;
    }
  }
}

/** Return what a restoration has brought about, as a person reads it. */
export function restoredText({ restored, expired, left, failure }) {
  return [
    restored.length > 0 && `Restored ${named(restored)}.`,
    expired.length > 0 && `${named(expired)} cannot be restored any more.`,
    left.length > 0 && `Not restored: ${named(left)}. ${failure.message}`,
  ]
    .filter(Boolean)
    .join(" ");
}

const named = (tasks) => (tasks.length === 1 ? `“${tasks[0].title}”` : `${tasks.length} tasks`);
