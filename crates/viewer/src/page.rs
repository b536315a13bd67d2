//! The files of the page, which are part of the program.

use std::sync::LazyLock;

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::answer::refusal;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident),* $(,)?) => {
        [$(($path, $kind, include_str!(concat!("../page", $path)))),*]
    };
}

const FILES: [(&str, &str, &str); 43] = files!(
    "/index.html" HTML,
    "/style.css" CSS,
    "/api.js" JS,
    "/app.js" JS,
    "/bands.js" JS,
    "/chart.js" JS,
    "/chooser.js" JS,
    "/clock.js" JS,
    "/code.js" JS,
    "/columns.js" JS,
    "/compare.js" JS,
    "/dom.js" JS,
    "/entity.js" JS,
    "/format.js" JS,
    "/geometry.js" JS,
    "/graph.js" JS,
    "/grid.js" JS,
    "/grouptable.js" JS,
    "/history.js" JS,
    "/icon.svg" SVG,
    "/keyframes.js" JS,
    "/market.js" JS,
    "/memory.js" JS,
    "/odd.js" JS,
    "/overview.js" JS,
    "/pace.js" JS,
    "/painter.js" JS,
    "/panel.js" JS,
    "/places.js" JS,
    "/plane.js" JS,
    "/replay.js" JS,
    "/run.js" JS,
    "/runs.js" JS,
    "/runscode.js" JS,
    "/scale.js" JS,
    "/series.js" JS,
    "/simulation.js" JS,
    "/sparks.js" JS,
    "/sql.js" JS,
    "/window.js" JS,
    "/vendor/flechette.min.js" JS,
    "/vendor/uPlot.esm.js" JS,
    "/vendor/uPlot.min.css" CSS,
);
/// Addresses of the page, and the script that shows each.
const PAGES: [(&str, &str); 7] = [
    ("/", "/overview.js"),
    ("/simulation", "/simulation.js"),
    ("/series", "/series.js"),
    ("/runs", "/runs.js"),
    ("/market", "/market.js"),
    ("/memory", "/memory.js"),
    ("/sql", "/sql.js"),
];

/// The page at each address, with the scripts that it needs by name: asked for all at once, and not each when another one that
/// imports it has come.
static INDEX: LazyLock<[String; PAGES.len()]> = LazyLock::new(|| {
    PAGES.map(|(_, script)| {
        let mut needed = vec!["/app.js", script];
        let mut at = 0;
        while let Some(name) = needed.get(at) {
            for import in imports(text_of(name)) {
                if !needed.contains(&import) {
                    needed.push(import);
                }
            }
            at += 1;
        }
        let links =
            needed.iter().map(|name| format!("<link rel=\"modulepreload\" href=\"{name}\">\n"));
        text_of("/index.html").replacen("<script", &(links.collect::<String>() + "<script"), 1)
    })
});

/// The text of one of the files.
fn text_of(name: &str) -> &'static str {
    FILES.iter().find(|(other, ..)| *other == name).map_or("", |(.., text)| text)
}

/// The scripts that one imports at its beginning, as they are named here.
fn imports(text: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = text.lines().filter(|line| line.starts_with("import "));
    lines.filter_map(|line| line.split('"').nth(1)?.strip_prefix('.'))
}

/// Every path outside of `/api`.
pub(crate) async fn file(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    let page = PAGES.iter().position(|(path, _)| *path == uri.path());
    let path = page.map_or(uri.path(), |_| "/index.html");
    match FILES.iter().find(|(name, ..)| *name == path) {
        Some((_, kind, text)) => {
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")];
            let text = page.map_or(*text, |page| &INDEX[page]);
            (headers, text).into_response()
        }
        None => refusal(StatusCode::NOT_FOUND, &format!("there is no page {path:?}")),
    }
}
