//! The page of a denial, for a browser: which role would help, and where to ask for it.

use crate::answer::{Missing, escaped};

// A proxy stands before somebody else's site, so the page brings its style along. The policy names it by its hash.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f3f5f8;--sheet:#fff;--ink:#15202e;--soft:#4a5768;--rule:#d2d9e2;--night:#142136;\
--focus:#0a6bd6}\
@media(prefers-color-scheme:dark){:root{--paper:#0d131c;--sheet:#151d29;--ink:#e6ecf4;--soft:#a5b2c4;--rule:#2c3848;\
--night:#1d2b43;--focus:#86bff2}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:.9375rem/1.45 system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;overflow-wrap:break-word}\
.top{display:flex;gap:.6rem;align-items:center;background:var(--night);color:#f4f6fa;font-weight:700;\
padding:.8rem max(1rem,50% - 38rem)}.top svg{color:#f2b632}\
main{max-width:42rem;margin:auto;padding:1.5rem 1rem}\
article{border:1px solid var(--rule);border-radius:6px;background:var(--sheet);overflow:hidden}\
header.q,.a{padding:1.5rem}\
header.q{background:var(--night);color:#f4f6fa}\
header.q p{margin:0 0 .5rem;color:#b7c3d3}\
h1{margin:0;font-size:1.5rem;font-weight:400;line-height:1.35}\
.role{border:1px solid #f2b632;border-radius:3px;padding:0 .4em;font:700 .8em ui-monospace,monospace}\
.btn{display:block;padding:.7rem 1rem;border-radius:4px;background:var(--ink);color:var(--sheet);font-weight:600;\
text-align:center;text-decoration:none}.does{margin:.5rem 0 0;color:var(--soft);font-size:.8125rem}\
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}\
dl{margin:1rem 0 0}dt{color:var(--soft);font-size:.8125rem}dd{margin:0}\
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}";

const MARK: &str = "<svg viewBox=\"0 0 24 24\" width=\"22\" height=\"22\" fill=\"none\" stroke=\"currentColor\" \
                    stroke-width=\"2.4\" aria-hidden=\"true\"><path d=\"M3.5 22V11.5a8.5 8.5 0 0 1 17 0V22M3.5 15.5h17\"/>\
                    <circle cx=\"12\" cy=\"10\" r=\"1.9\" fill=\"currentColor\" stroke=\"none\"/></svg>";

/// Its content policy: this style, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'sha256-h/x4+GDCBbmUZzSzGwnDcCZawF9ZuxMh4BMe2cMXJgk='; base-uri 'none'; form-action 'none'; \
                                 frame-ancestors 'none'";

/// The page, with a link to the request form where somebody can be asked.
pub(crate) fn page(missing: &Missing, request_url: Option<&str>) -> String {
    let roles = &missing.hints.requestable_roles;
    let would = roles.first().map_or_else(String::new, |role| {
        format!(
            " The role <span class=\"role\">{}</span> would allow it.",
            escaped(role)
        )
    });
    let ask = match (request_url, roles.first()) {
        (Some(url), Some(role)) => format!(
            "<a class=\"btn\" href=\"{}\">Request {}</a><p class=\"does\">Opens the request form.</p>",
            escaped(url),
            escaped(role)
        ),
        _ => "<p>Ask whoever runs this service for access.</p>".to_owned(),
    };
    let fact = |what: &str, value: &Option<String>| {
        value.as_ref().map_or_else(String::new, |value| {
            format!("<dt>{what}</dt><dd><code>{}</code></dd>", escaped(value))
        })
    };
    let others = roles.get(1..).filter(|others| !others.is_empty());
    let others = others.map_or_else(String::new, |others| {
        format!(
            "<dt>Other roles that would allow it</dt><dd>{}</dd>",
            escaped(&others.join(", "))
        )
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>Not allowed · Heimdall</title><style>{STYLE}</style></head>\
         <body><div class=\"top\" role=\"banner\">{MARK}Heimdall</div><main><article><header class=\"q\"><p>403</p>\
         <h1>You may not open this.{would}</h1></header><div class=\"a\">{ask}<dl>{}{}{others}</dl></div></article></main>\
         </body></html>",
        fact("Missing permission", &missing.permission),
        fact("Missing role", &missing.role),
    )
}

#[cfg(test)]
mod tests {
    use heimdall_token::crypto::{base64, sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_style_that_is_in_the_page() {
        let hash = base64(&sha256(STYLE.as_bytes()));
        assert!(
            POLICY.contains(&format!("'sha256-{hash}'")),
            "the hash is {hash}"
        );
    }
}
