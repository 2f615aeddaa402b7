//! Paging by `Link` (RFC 8288): only the query of the target is taken, since many registries name a wrong host or path.

use url::Url;

/// The address of the next page: that of this request with the query of the link whose `rel` is `next`.
pub fn next<'a>(request: &Url, lines: impl IntoIterator<Item = &'a [u8]>) -> Option<Url> {
    let target = lines.into_iter().filter(|line| line.len() <= 16 << 10).find_map(|line| {
        let line = String::from_utf8_lossy(line);
        next_target(&line).map(str::to_owned)
    })?;
    let (_, query) = target.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let mut url = request.clone();
    // `set_query` encodes what may not stand in a query as it is.
    url.set_query(Some(query));
    Some(url)
}

/// What stands between `<` and `>` in the first element with `rel="next"`.
fn next_target(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        let (_, behind) = rest.split_once('<')?;
        let (target, behind) = behind.split_once('>')?;
        let (params, behind) = behind.split_at(end_of_element(behind));
        if params.split(';').any(is_next) {
            return Some(target);
        }
        rest = behind;
    }
}

/// Where the parameters of an element end: at a comma outside quotes.
fn end_of_element(text: &str) -> usize {
    let mut quoted = false;
    text.find(|character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
    .unwrap_or(text.len())
}

fn is_next(param: &str) -> bool {
    let Some((name, value)) = param.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("rel")
        && value.trim().trim_matches('"').split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[rustfmt::skip]
    fn keeps_host_and_path_of_the_request() {
        for (request, link, expected) in [
            ("https://h/v2/_catalog?n=2", r#"</v2/_catalog?last=b%2Fc&n=2>; rel="next""#, Some("https://h/v2/_catalog?last=b%2Fc&n=2")),
            // Artifactory loses its repository key.
            ("https://h/artifactory/api/docker/R/v2/renovate/renovate/tags/list?n=10000", r#"</v2/renovate/renovate/tags/list?last=10000&n=10000>; rel="next""#,
                Some("https://h/artifactory/api/docker/R/v2/renovate/renovate/tags/list?last=10000&n=10000")),
            // Nexus names its inner address, Quay an absolute one.
            ("https://h:5000/v2/app/tags/list", r#"<https://nexus:8443/repository/docker-hosted/v2/app/tags/list?n=5&last=v1>; rel="next""#, Some("https://h:5000/v2/app/tags/list?n=5&last=v1")),
            ("https://quay.example/v2/_catalog?n=100", r#"<https://quay.example/v2/_catalog?n=100&next_page=gAAAA_->; rel="next""#, Some("https://quay.example/v2/_catalog?n=100&next_page=gAAAA_-")),
            // zot does not escape.
            ("https://h/v2/_catalog", r#"</v2/_catalog?n=2&last=a/b c>; rel="next""#, Some("https://h/v2/_catalog?n=2&last=a/b%20c")),
            ("https://h/v2/t", r#"<https://h/v2/t?n=2&before=c>; rel="previous", <https://h/v2/t?n=2&last=d>; rel="next""#, Some("https://h/v2/t?n=2&last=d")),
            ("https://h/api", r#"</api?page=1&q=tags=~v,push_time=[2026~]>; rel="prev" , </api?page=3&page_size=1>; rel="next""#, Some("https://h/api?page=3&page_size=1")),
            ("https://h/a", "</a?x=1>; title=\"a, b; rel=next\"; rel=NEXT", Some("https://h/a?x=1")),
            ("https://h/a", "</a?x=1>; rel=\"last next\"", Some("https://h/a?x=1")),
            ("https://h/a", "</a?x=1>; rel=prev", None),
            ("https://h/a", "</a>; rel=next", None),
            ("https://h/a", "a?x=1; rel=next", None),
        ] {
            let next = next(&Url::parse(request).unwrap(), [link.as_bytes()]);
            assert_eq!(next.as_ref().map(Url::as_str), expected, "{link}");
        }
    }

    proptest! {
        #[test]
        fn never_leaves_the_host(line in ".*") {
            let request = Url::parse("https://h/v2/_catalog").unwrap();
            if let Some(next) = next(&request, [line.as_bytes()]) {
                prop_assert_eq!((next.host_str(), next.path()), (Some("h"), "/v2/_catalog"));
            }
        }
    }
}
