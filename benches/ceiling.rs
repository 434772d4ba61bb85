//! The ceiling: an answer of Roster, head and body, served from memory by plain actix-web.

use actix_web::{App, HttpResponse, HttpServer, rt::System, web};
use std::{fs, path::Path};

/// Head fields that the server writes itself.
const OWN: [&str; 3] = ["content-length", "connection", "date"];

/// Serves the answer in this file, whatever is asked, until it is killed.
pub fn serve(answer: &Path, port: u16) {
    let answer = fs::read_to_string(answer).expect("the answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let head: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .collect();
    let body = web::Bytes::from(body.to_owned());
    let server = HttpServer::new(move || {
        let (head, body) = (head.clone(), body.clone());
        App::new().default_service(web::to(move || {
            let mut answer = HttpResponse::Ok();
            for (name, value) in &head {
                answer.append_header((name.as_str(), value.as_str()));
            }
            let answer = answer.body(body.clone());
            async move { answer }
        }))
    })
    .bind(("127.0.0.1", port))
    .expect("the port");
    System::new().block_on(server.run()).expect("served");
}
