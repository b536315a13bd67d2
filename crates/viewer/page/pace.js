// What is read again while a file is written: only in sight, and not with each write.

/** Milliseconds between two readings of what takes no time. */
const LEAST = 3000;
/** How many times as long as a reading took, what was read is left as it is. */
const REST = 10;

export class Pace {
  /**
   * @param {HTMLElement} element where it is shown; one that is hidden may have to be shown
   * @param {() => Promise<void>} work reads and shows it
   */
  constructor(element, work) {
    this.element = element;
    this.work = work;
    this.isWanted = false;
    this.isRunning = false;
    this.isInSight = false;
    this.isClosed = false;
    this.timer = 0;
    /** When it may be read again, by the clock of the page. */
    this.next = 0;
    this.observer = new IntersectionObserver((entries) => {
      this.isInSight = entries[entries.length - 1].isIntersecting;
      this.plan();
    }, { rootMargin: "50%" }); // what a short scroll brings into sight is ready
    this.observer.observe(element);
  }

  /** Something was written. */
  ask() {
    this.isWanted = true;
    this.plan();
  }

  plan() {
    if (!this.isWanted || this.isRunning || this.timer || this.isClosed || !(this.isInSight || this.element.hidden)) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      // It may have been scrolled away meanwhile.
      if (this.isInSight || this.element.hidden) this.run().catch((error) => dispatchEvent(new CustomEvent("trouble", { detail: error })));
    }, Math.max(0, this.next - performance.now()));
  }

  /** Reads it now. */
  async run() {
    this.isWanted = false;
    this.isRunning = true;
    const begin = performance.now();
    try {
      await this.work();
    } finally {
      this.isRunning = false;
      const now = performance.now();
      this.next = now + Math.max(LEAST, REST * (now - begin));
      this.plan();
    }
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.observer.disconnect();
  }
}
