//! What happens in the child: the filter, and the handler of the calls that it stops.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::OpenOptions;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::SeqCst};

use super::{FOLDER, PLAN, TIMEOUT_S, TRACE, can_meet};

pub(super) const FAIL: i32 = 1;
pub(super) const FAIL_FROM: i32 = 2;
pub(super) const KILL_BEFORE: i32 = 3;
pub(super) const KILL_AFTER: i32 = 4;
pub(super) const SHORT: i32 = 5;

/// What the sixth argument of a call is that the filter lets through.
const OURS: u64 = 0x5117_5704_e0ca_1105;

static NTH: AtomicU64 = AtomicU64::new(0);
static DEED: AtomicI32 = AtomicI32::new(0);
static ERRNO: AtomicI32 = AtomicI32::new(0);
/// Calls so far on the folder.
static COUNT: AtomicU64 = AtomicU64::new(0);
static STRUCK: AtomicU64 = AtomicU64::new(0);
/// The file that the calls are written down in.
static TRACED: AtomicI64 = AtomicI64::new(-1);
static WATCHED: OnceLock<Vec<u8>> = OnceLock::new();

/// Where a call has its file: a descriptor, a path, or a path relative to a descriptor.
#[derive(Clone, Copy)]
enum At {
    Descriptor(usize),
    Path(usize),
    Below(usize, usize),
}

/// The calls that change files, open them or sync them: number, short name, file, second file.
const CALLS: &[(i64, &str, At, Option<At>)] = &[
    (libc::SYS_open, "open", At::Path(0), None),
    (libc::SYS_openat, "open", At::Below(0, 1), None),
    (libc::SYS_creat, "create", At::Path(0), None),
    (libc::SYS_write, "write", At::Descriptor(0), None),
    (libc::SYS_pwrite64, "write", At::Descriptor(0), None),
    (libc::SYS_writev, "write", At::Descriptor(0), None),
    (libc::SYS_pwritev, "write", At::Descriptor(0), None),
    (libc::SYS_fallocate, "truncate", At::Descriptor(0), None),
    (libc::SYS_ftruncate, "truncate", At::Descriptor(0), None),
    (libc::SYS_truncate, "truncate", At::Path(0), None),
    (libc::SYS_fsync, "sync", At::Descriptor(0), None),
    (libc::SYS_fdatasync, "sync", At::Descriptor(0), None),
    (libc::SYS_rename, "rename", At::Path(0), Some(At::Path(1))),
    (libc::SYS_renameat, "rename", At::Below(0, 1), Some(At::Below(2, 3))),
    (libc::SYS_renameat2, "rename", At::Below(0, 1), Some(At::Below(2, 3))),
    (libc::SYS_link, "link", At::Path(0), Some(At::Path(1))),
    (libc::SYS_linkat, "link", At::Below(0, 1), Some(At::Below(2, 3))),
    (libc::SYS_unlink, "unlink", At::Path(0), None),
    (libc::SYS_unlinkat, "unlink", At::Below(0, 1), None),
    (libc::SYS_rmdir, "rmdir", At::Path(0), None),
    (libc::SYS_mkdir, "mkdir", At::Path(0), None),
    (libc::SYS_mkdirat, "mkdir", At::Below(0, 1), None),
];

/// Ends the process if it takes too long: it hangs.
pub(crate) fn end_if_it_hangs() {
    // SAFETY: the signal that comes then ends the process.
    unsafe { libc::alarm(TIMEOUT_S) };
}

/// From here on each call counts. Does nothing in a child that was started without this module.
pub(crate) fn arm() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let mut words = plan.split(' ').map(|word| word.parse::<i64>().expect("a plan of numbers"));
    let mut next = || words.next().expect("three numbers");
    NTH.store(next() as u64, SeqCst);
    DEED.store(next() as i32, SeqCst);
    ERRNO.store(next() as i32, SeqCst);
    let folder = std::env::var_os(FOLDER).expect("a folder to watch");
    WATCHED.set(folder.as_bytes().to_owned()).expect("armed once");
    let trace = std::env::var_os(TRACE).expect("a file to write the calls into");
    let trace = OpenOptions::new().append(true).open(trace).unwrap();
    TRACED.store(trace.into_raw_fd().into(), SeqCst);
    end_if_it_hangs();
    // SAFETY: the handler has the signature that SA_SIGINFO asks for and does only what a handler may; the filter is a
    // valid program that outlives the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_call as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        assert_eq!(libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut()), 0);
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mut filter = filter();
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        let (mode, every_thread) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
        let done = libc::syscall(libc::SYS_seccomp, mode, every_thread, &program);
        assert_eq!(done, 0, "no seccomp here: {}", std::io::Error::last_os_error());
    }
}

/// Whether the trouble has come.
pub(crate) fn struck() -> bool {
    STRUCK.load(SeqCst) > 0
}

/// No call fails any more.
pub(crate) fn heal() {
    DEED.store(0, SeqCst);
}

/// The filter: calls of this kind of processor, not marked as ours, and in the list, are trapped.
fn filter() -> Vec<libc::sock_filter> {
    const ARCH_X86_64: u32 = 0xc000_003e;
    let load = |offset| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    };
    let equals = |k, jt: usize, jf: usize| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: jt as u8,
        jf: jf as u8,
        k,
    };
    let end = |k| libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k };
    let n = CALLS.len();
    // The struct seccomp_data: number, architecture, address, six arguments.
    let mut program = vec![
        load(4),
        equals(ARCH_X86_64, 0, n + 5),
        load(16 + 5 * 8),
        equals(OURS as u32, 0, 2),
        load(16 + 5 * 8 + 4),
        equals((OURS >> 32) as u32, n + 1, 0),
        load(0),
    ];
    program.extend(CALLS.iter().enumerate().map(|(i, call)| equals(call.0 as u32, n - i, 0)));
    program.extend([end(libc::SECCOMP_RET_ALLOW), end(libc::SECCOMP_RET_TRAP)]);
    program
}

/// Makes a call that the filter lets through.
fn real(number: i64, arguments: [i64; 5]) -> i64 {
    let answer;
    // SAFETY: the call is one that the program asked for, or one of the handler's with its own buffers.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") OURS,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer
}

/// Bytes without memory from the heap.
struct Text {
    bytes: [u8; 4096],
    length: usize,
}

impl Text {
    const fn new() -> Self {
        Text { bytes: [0; 4096], length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = (self.length + bytes.len()).min(self.bytes.len());
        let room = &mut self.bytes[self.length..end];
        room.copy_from_slice(&bytes[..room.len()]);
        self.length = end;
    }

    fn push_number(&mut self, number: i64) {
        if number < 0 {
            self.push(b"-");
        }
        let (mut digits, mut at, mut rest) = ([0u8; 20], 20, number.unsigned_abs());
        while at == 20 || rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[at..]);
    }

    fn push_path_of(&mut self, descriptor: i64) {
        let mut link = Text::new();
        link.push(b"/proc/self/fd/");
        link.push_number(descriptor);
        link.push(b"\0");
        let room = &mut self.bytes[self.length..];
        let (from, to) = (link.bytes.as_ptr() as i64, room.as_mut_ptr() as i64);
        let length = real(libc::SYS_readlink, [from, to, room.len() as i64, 0, 0]);
        self.length += length.max(0) as usize;
    }

    fn push_file(&mut self, at: At, arguments: &[i64; 5]) {
        // SAFETY: the program gives a string that ends in NUL where the call has a path.
        let path = |i: usize| unsafe { CStr::from_ptr(arguments[i] as *const c_char) }.to_bytes();
        match at {
            At::Descriptor(i) => self.push_path_of(arguments[i]),
            At::Path(i) => self.push(path(i)),
            At::Below(_, i) if path(i).starts_with(b"/") => self.push(path(i)),
            At::Below(descriptor, i) => {
                self.push_path_of(arguments[descriptor]);
                self.push(b"/");
                self.push(path(i));
            }
        }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether it is the path of the watched folder or of something below it.
    fn is_watched(&self) -> bool {
        let Some(folder) = WATCHED.get() else { return false };
        let Some(rest) = self.get().strip_prefix(folder.as_slice()) else { return false };
        rest.is_empty() || rest.starts_with(b"/")
    }
}

/// Writes down a line with its end.
fn trace(line: &mut Text) {
    line.length = line.length.min(line.bytes.len() - 1);
    line.push(b"\n");
    let from = line.bytes.as_ptr() as i64;
    real(libc::SYS_write, [TRACED.load(SeqCst), from, line.length as i64, 0, 0]);
}

extern "C" fn on_call(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the third argument is the context of the interrupted thread.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let [number, rest @ ..] =
        [libc::REG_RAX, libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8]
            .map(|register| registers[register as usize]);
    registers[libc::REG_RAX as usize] = answer(number, rest);
}

/// What the program is answered.
fn answer(number: i64, mut arguments: [i64; 5]) -> i64 {
    let Some(call) = CALLS.iter().find(|call| call.0 == number) else {
        return real(number, arguments);
    };
    if number == libc::SYS_write && arguments[0] == 1 {
        let mut line = Text::new();
        line.push(b"said\t");
        // SAFETY: the program gives so many bytes to write.
        let said =
            unsafe { std::slice::from_raw_parts(arguments[1] as *const u8, arguments[2] as usize) };
        line.push(said.split(|byte| *byte == b'\n').next().unwrap_or_default());
        trace(&mut line);
        return real(number, arguments);
    }
    let (mut path, mut to) = (Text::new(), Text::new());
    path.push_file(call.2, &arguments);
    if let Some(at) = call.3 {
        to.push_file(at, &arguments);
    }
    if !path.is_watched() && !to.is_watched() {
        return real(number, arguments);
    }
    let name = name_of(call, &path, &arguments);
    let (nth, errno) = (COUNT.fetch_add(1, SeqCst), ERRNO.load(SeqCst));
    let (deed, planned) = (DEED.load(SeqCst), NTH.load(SeqCst));
    let is_struck = match deed {
        0 => false,
        FAIL_FROM => nth >= planned && can_meet(name, errno),
        _ => nth == planned,
    };
    STRUCK.fetch_add(is_struck.into(), SeqCst);
    let answer = match deed {
        FAIL | FAIL_FROM if is_struck => i64::from(-errno),
        KILL_BEFORE if is_struck => 0,
        SHORT if is_struck && [libc::SYS_write, libc::SYS_pwrite64].contains(&number) => {
            arguments[2] = (arguments[2] + 1) / 2;
            real(number, arguments)
        }
        _ => real(number, arguments),
    };
    let mut line = Text::new();
    line.push(if is_struck { b"struck\t" } else { b"made\t" });
    line.push_number(nth as i64);
    line.push(b"\t");
    line.push(name);
    line.push(b"\t");
    line.push_number(answer);
    for path in [&path, &to] {
        line.push(b"\t");
        line.push(path.get());
    }
    trace(&mut line);
    while is_struck && [KILL_BEFORE, KILL_AFTER].contains(&deed) {
        let process = real(libc::SYS_getpid, [0; 5]);
        real(libc::SYS_kill, [process, libc::SIGKILL.into(), 0, 0, 0]);
    }
    answer
}

/// The name of a call: to open a file that is not there is to create it.
fn name_of(
    call: &(i64, &'static str, At, Option<At>),
    path: &Text,
    arguments: &[i64; 5],
) -> &'static [u8] {
    let flags = match call.2 {
        At::Path(_) => arguments[1],
        _ => arguments[2],
    };
    if call.1 == "open" && flags & i64::from(libc::O_CREAT) != 0 {
        let mut name = Text::new();
        name.push(path.get());
        name.push(b"\0");
        if real(libc::SYS_access, [name.bytes.as_ptr() as i64, 0, 0, 0, 0]) != 0 {
            return b"create";
        }
    }
    call.1.as_bytes()
}
