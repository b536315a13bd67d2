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
/// Addresses of the page: its scripts read the rest.
const PAGES: [&str; 7] = ["/", "/simulation", "/series", "/runs", "/market", "/memory", "/sql"];

/// The page with its scripts by name: asked for all at once, and not each when another one that imports it has come.
static INDEX: LazyLock<String> = LazyLock::new(|| {
    let scripts = FILES.iter().filter(|(_, kind, _)| *kind == JS);
    let links = scripts.map(|(name, ..)| format!("<link rel=\"modulepreload\" href=\"{name}\">\n"));
    FILES[0].2.replacen("<script", &(links.collect::<String>() + "<script"), 1)
});

/// Every path outside of `/api`.
pub(crate) async fn file(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    let path = if PAGES.contains(&uri.path()) { "/index.html" } else { uri.path() };
    match FILES.iter().find(|(name, ..)| *name == path) {
        Some((_, kind, text)) => {
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")];
            let text = if *kind == HTML { INDEX.as_str() } else { *text };
            (headers, text).into_response()
        }
        None => refusal(StatusCode::NOT_FOUND, &format!("there is no page {path:?}")),
    }
}
