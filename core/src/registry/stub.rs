//! A small server that stands in for the services of a machine and of a cloud, in unit tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Answers by what a request contains, the first that fits, and keeps the requests. It ends with the tests.
pub(super) fn server(
    answers: &'static [(&'static str, u16, &'static str, &'static str)],
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or_default() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let request = format!("{head}\n{}", String::from_utf8(body).unwrap());
            let found = answers.iter().find(|(part, ..)| request.contains(part));
            let (status, headers, body) =
                found.map_or((404, "", ""), |(_, status, headers, body)| (*status, *headers, *body));
            seen.lock().unwrap().push(request);
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n");
            let _ = reader.get_mut().write_all(format!("{head}{body}").as_bytes());
        }
    });
    (url, log)
}
