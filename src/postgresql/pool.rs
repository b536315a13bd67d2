//! Connections that are kept, and transactions on them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postgres::Client;
use postgres::error::SqlState;

use super::Failure;
use super::address::Address;
use crate::error::{Error, Result};
use crate::kernel::{cancellable, pause};

/// Connections that are kept while nobody uses them.
const MOST_IDLE: usize = 8;
/// How often a transaction that the server broke off, for the sake of another one, is tried.
const TRIES: u32 = 20;

/// How the client says that the server wants a password and it has none.
const MISSING: &str = "password missing";

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It reads one snapshot.
    Read,
    /// It writes.
    Write,
}

/// The connections to one server.
pub(crate) struct Pool {
    address: Address,
    idle: Mutex<Idle>,
}

struct Idle {
    clients: Vec<Client>,
    /// The process that they belong to.
    process: u32,
}

impl Pool {
    pub(crate) fn new(address: Address) -> Self {
        let idle = Idle { clients: Vec::new(), process: std::process::id() };
        Pool { address, idle: Mutex::new(idle) }
    }

    pub(crate) fn location(&self) -> &str {
        self.address.location()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // What the lock guards is whole at every moment.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.process != std::process::id() {
            // After a fork they are the parent's: to close them here would end its session.
            std::mem::forget(std::mem::take(&mut idle.clients));
            idle.process = std::process::id();
        }
        idle
    }

    fn connect(&self, action: &'static str) -> Result<Client> {
        self.address.connect(action)?.map_err(|error| {
            match self.said(Failure::Server(error), action) {
                Error::Server { location, action, why } if why.contains("password") => {
                    let hint = match self.address.passed_over() {
                        Some(passed_over) => format!("; {passed_over}"),
                        None if why.contains(MISSING) => {
                            "; PGPASSWORD or ~/.pgpass can give it".into()
                        }
                        None => String::new(),
                    };
                    Error::Server { location, action, why: why + &hint }
                }
                other => other,
            }
        })
    }

    /// Connects; a server that wants a password of which none is known gets that which `ask` gives.
    pub(crate) fn asking(
        address: Address,
        ask: &mut dyn FnMut(&str) -> Result<String>,
    ) -> Result<Self> {
        let address = match address.connect("connecting")? {
            Ok(client) => {
                let pool = Pool::new(address);
                pool.keep(client);
                return Ok(pool);
            }
            Err(error) if reason(&error).contains(MISSING) => {
                let password = ask(address.location())?;
                address.with_password(&password)
            }
            Err(_) => address, // whoever uses the pool tries again, and reports it
        };
        Ok(Pool::new(address))
    }

    /// A connection on which a transaction was begun. One that was kept may be gone by now.
    fn begin(&self, access: Access, action: &'static str) -> Result<Client> {
        let begin = match access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        // A lock that another session never lets go is not waited for without an end.
        let begin = format!(
            "{begin}; SELECT set_config('lock_timeout', '30s', true) \
             WHERE current_setting('lock_timeout') = '0'"
        );
        loop {
            let kept = self.idle().clients.pop();
            let is_kept = kept.is_some();
            let mut client = kept.map_or_else(|| self.connect(action), Ok)?;
            match client.batch_execute(&begin) {
                Ok(()) => return Ok(client),
                Err(_) if is_kept => {}
                Err(error) => return Err(self.said(Failure::Server(error), action)),
            }
        }
    }

    /// Does a piece of work in one transaction: all of it, or nothing. The work is done again if the server broke it
    /// off for the sake of another one.
    ///
    /// A caller that cancels has the server cancel the statement.
    pub(crate) fn run<T: Send>(
        &self,
        access: Access,
        action: &'static str,
        mut work: impl FnMut(&mut Client, &str) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        let mut tries = 0;
        loop {
            let mut client = self.begin(access, action)?;
            let (done, cancelled) = cancellable(self.address.canceller(&client), || {
                let done = work(&mut client, self.location());
                done.and_then(|done| Ok((done, client.batch_execute("COMMIT")?)))
            });
            let failure = match done {
                Ok((done, ())) => {
                    self.keep(client);
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            if client.batch_execute("ROLLBACK").is_ok() {
                self.keep(client);
            }
            if cancelled {
                return Err(Error::Interrupted { action });
            }
            tries += 1;
            if !is_passing(&failure) || tries == TRIES {
                return Err(self.said(failure, action));
            }
            // Whoever came first is given time to end.
            let wait = u64::from(tries) * 5 + u64::from(std::process::id() % 7);
            pause(Duration::from_millis(wait), action)?;
        }
    }

    fn keep(&self, client: Client) {
        let mut idle = self.idle();
        if idle.clients.len() < MOST_IDLE && !client.is_closed() {
            idle.clients.push(client);
        }
    }

    /// A failure as an error of the library.
    pub(crate) fn said(&self, failure: Failure, action: &'static str) -> Error {
        let location = self.location().to_owned();
        match failure {
            Failure::Ours(Error::Corrupt { what, why, .. }) => {
                Error::Corrupt { location, what, why }
            }
            Failure::Ours(error) => error,
            Failure::Server(error) => Error::Server { location, action, why: reason(&error) },
            Failure::Stream(error) => match server_error(&error) {
                Some(error) => Error::Server { location, action, why: reason(error) },
                None => Error::Server { location, action, why: error.to_string() },
            },
        }
    }
}

/// The server's error within that of a stream.
fn server_error(error: &std::io::Error) -> Option<&postgres::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the same work may succeed when it is done again.
fn is_passing(failure: &Failure) -> bool {
    let error = match failure {
        Failure::Server(error) => Some(error),
        Failure::Stream(error) => server_error(error),
        Failure::Ours(_) => None,
    };
    let passing = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
    ];
    error.and_then(postgres::Error::code).is_some_and(|code| passing.contains(code))
}

/// The server's own words, or those of the connection.
fn reason(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("the server says {:?} ({})", error.message(), error.code().code());
    }
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !why.contains(&text) {
            why = format!("{why}: {text}");
        }
        source = cause.source();
    }
    why
}
