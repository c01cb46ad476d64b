//! HTTP/2, by hyper.

use super::Shared;
use super::answer::{Answer, Body, What};
use super::feed::{Feed, Piece};
use super::record::UpstreamRequest;
use crate::wire::{Headers, Stream};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Answers the requests of one connection until either side closes it.
pub(super) async fn serve(
    stream: impl Stream + 'static,
    number: usize,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let service = service_fn(move |request| respond(request, number, Arc::clone(&shared)));
    let served = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    served.map_err(io::Error::other)
}

async fn respond(
    request: Request<Incoming>,
    number: usize,
    shared: Arc<Shared>,
) -> io::Result<Response<Outgoing>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let authority = head.uri.authority().map(|authority| ("host".to_owned(), authority.to_string()));
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let request = UpstreamRequest {
        connection: number,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: Headers(authority.into_iter().chain(head.headers.iter().map(field)).collect()),
        body,
        http2: true,
    };
    shared.record.received(number, &as_http1(&request));
    let answer = shared.answer(request);
    tokio::time::sleep(answer.delay).await;
    give(answer).await
}

/// The request as HTTP/1.1 would have it, for what looks for canaries.
fn as_http1(request: &UpstreamRequest) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/2\r\n", request.method, request.path);
    for (name, value) in &request.headers.0 {
        // Writing to a String does not fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    [text.as_bytes(), &request.body].concat()
}

async fn give(answer: Answer) -> io::Result<Response<Outgoing>> {
    match answer.what {
        What::Response { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Outgoing::from(body)).map_err(io::Error::other)
        }
        What::Hang => std::future::pending().await,
        // An error here resets the stream.
        What::Raw(_) | What::Close | What::Reset => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// A body on its way out.
enum Outgoing {
    Parts(std::vec::IntoIter<Bytes>, u64),
    Fed(Feed),
}

impl From<Body> for Outgoing {
    fn from(body: Body) -> Self {
        let parts = match body {
            Body::None => vec![],
            Body::Full(body) | Body::UntilClose(body) => vec![body],
            Body::Filled(before, len, after) => {
                let len = usize::try_from(len).expect("a length that fits memory");
                vec![before.into(), vec![b'x'; len].into(), after.into()]
            }
            Body::Fed(feed) => return Self::Fed(feed),
        };
        let len = parts.iter().map(|part| part.len() as u64).sum();
        Self::Parts(parts.into_iter(), len)
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Parts(parts, _) => Poll::Ready(parts.next().map(|part| Ok(Frame::data(part)))),
            Self::Fed(feed) => feed.pieces.poll_recv(context).map(|piece| match piece? {
                Piece::Bytes(bytes) => Some(Ok(Frame::data(bytes))),
                Piece::Cut => Some(Err(io::ErrorKind::ConnectionReset.into())),
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(_, len) => SizeHint::with_exact(*len),
            Self::Fed(_) => SizeHint::default(),
        }
    }
}
