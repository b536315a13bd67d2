//! Who may ask: this machine, by a name of loopback, and for data with the token.

use std::io;
use std::sync::PoisonError;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::answer::refusal;
use crate::{Options, Shared};

/// Names of loopback that a browser may use.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The token and the names of this server.
pub(crate) struct Guard {
    port: u16,
    token: String,
    allow_hosts: Vec<String>,
    /// With it in its address, the page may stand in a frame.
    frame_key: Option<String>,
}

impl std::fmt::Debug for Guard {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard with a token that nobody can guess.
    pub(crate) fn new(port: u16, options: Options) -> io::Result<Self> {
        let frame_key = if options.frames { Some(secret()?) } else { None };
        Ok(Guard { port, token: secret()?, allow_hosts: options.allow_hosts, frame_key })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn frame_key(&self) -> Option<&str> {
        self.frame_key.as_deref()
    }

    /// Whether an address may be shown in a frame.
    fn may_be_framed(&self, uri: &Uri) -> bool {
        let given = uri.query().unwrap_or_default().split('&');
        let mut given = given.filter_map(|pair| pair.strip_prefix("frame="));
        self.frame_key().is_some_and(|key| given.any(|given| is_same(given, key)))
    }

    /// Cookies know no port: two servers of one machine would overwrite each other's.
    fn cookie_name(&self) -> String {
        format!("siltstone_{}", self.port)
    }

    /// Whether a request for this host may be meant for this server. Another name means that a page
    /// elsewhere had its name resolved to this machine.
    fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        LOOPBACK.iter().any(|known| is(known)) || self.allow_hosts.iter().any(|known| is(known))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let name = self.cookie_name();
        let cookies = text(header::COOKIE).unwrap_or_default().split(';');
        let cookie = cookies.filter_map(|pair| pair.trim().split_once('='));
        let cookie = cookie.filter(|(key, _)| *key == name).map(|(_, value)| value);
        bearer.into_iter().chain(cookie).any(|given| is_same(given, &self.token))
    }
}

/// Hexadecimal digits that nobody can guess.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Compares in a time that does not depend on where two texts differ.
fn is_same(given: &str, token: &str) -> bool {
    given.len() == token.len()
        && given.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The name in front of the port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Every request: refuses foreign hosts and origins, and sets the headers that keep the page to itself.
pub(crate) async fn same_origin(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let policy = match shared.guard.may_be_framed(request.uri()) {
        true => "default-src 'self'; base-uri 'none'",
        false => "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    };
    let mut response = match foreign(&shared.guard, request.headers()) {
        Some(sentence) => refusal(StatusCode::FORBIDDEN, &sentence),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request comes from elsewhere, if it does.
fn foreign(guard: &Guard, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    if !guard.knows(host) {
        return Some(format!(
            "the host {:?} is not of this server; a proxy's name is allowed by --allow-host",
            without_port(host)
        ));
    }
    let origin = text(header::ORIGIN);
    let own = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    };
    if let Some(origin) = origin.filter(|origin| !own(origin)) {
        return Some(format!("the origin {origin:?} is not this page"));
    }
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    let is_script = headers.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    match site {
        Some("same-site" | "cross-site") if is_script => {
            Some("a page of another origin asked for this".to_owned())
        }
        _ => None,
    }
}

/// Data: refuses who has no token.
pub(crate) async fn with_token(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    match shared.guard.has_token(request.headers()) {
        true => next.run(request).await,
        false => refusal(
            StatusCode::UNAUTHORIZED,
            "this needs the token of the address that `silt view` printed: as the cookie that the page sets, or as \
             Authorization: Bearer TOKEN",
        ),
    }
}

/// `GET /api/session`: the token that came as a header, as a cookie that scripts cannot read.
pub(crate) async fn session(State(shared): State<Shared>) -> Response {
    // The browser has read the file that led here, and the token in it.
    drop(shared.opened.lock().unwrap_or_else(PoisonError::into_inner).take());
    let (name, token) = (shared.guard.cookie_name(), shared.guard.token());
    let cookie = format!("{name}={token}; Path=/; SameSite=Strict; HttpOnly");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a name is compared without its port, whatever the port and the address family.
    #[test]
    fn the_port_of_a_host_does_not_matter() {
        let guard = Guard::new(
            8080,
            Options { allow_hosts: vec!["proxy.example".into()], ..Options::default() },
        )
        .unwrap();
        for host in [
            "127.0.0.1",
            "127.0.0.1:1",
            "LOCALHOST:8080",
            "[::1]:8080",
            "[::1]",
            "proxy.example:443",
        ] {
            assert!(guard.knows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost:80@evil.example",
            "::1",
        ] {
            assert!(!guard.knows(host), "{host}");
        }
    }
}
