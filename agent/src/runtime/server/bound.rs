//! How much the server may say: kube reads whatever comes, a whole list at once and a line of a watch at once.
//!
//! The largest object there can be has 1.5 MiB in the server's store, and a busy node's list some MiB.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as Read, Frame, SizeHint};
use hyper::{Request, Response};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

/// Bytes of one answer, and of one line of a watch, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) answer: usize,
    pub(super) line: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { answer: 32 << 20, line: 4 << 20 }
    }
}

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, bounds: *self }
    }
}

/// A client whose answers are bounded.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S, B> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Short<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default();
        let is_watch = query.split('&').any(|pair| pair == "watch=true");
        let Bounds { answer, line } = self.bounds;
        let asked = self.inner.call(request);
        Box::pin(async move {
            let answered = asked.await?;
            // What is no answer to a watch but an error is short as well.
            let limit = if is_watch { line } else { answer };
            Ok(answered.map(|body| Short { body, is_watch, limit, taken: 0 }))
        })
    }
}

/// A body that ends in an error where it is too long.
#[derive(Debug)]
pub(super) struct Short<B> {
    body: B,
    is_watch: bool,
    limit: usize,
    /// Bytes so far; of a watch, since its last line ended.
    taken: usize,
}

impl<B> Short<B> {
    /// Whether these bytes may come as well.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let Self { is_watch, limit, taken, .. } = self;
        if !*is_watch {
            *taken += bytes.len();
            return *taken <= *limit;
        }
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let goes_on = *taken + pieces.next().map_or(0, <[u8]>::len);
        let (last, is_short) = pieces.fold((goes_on, goes_on <= *limit), |(_, is_short), piece| {
            (piece.len(), is_short && piece.len() <= *limit)
        });
        *taken = last;
        is_short
    }
}

impl<B: Read<Data = Bytes, Error: Into<BoxError>> + Unpin> Read for Short<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            return Poll::Pending;
        };
        let limit = self.limit;
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            if frame.data_ref().is_none_or(|bytes| self.take(bytes)) {
                return Ok(frame);
            }
            Err(format!("the answer is longer than {limit} bytes").into())
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::Short;

    #[test]
    fn lines_of_a_watch_are_bounded_however_they_come() {
        let check = |is_watch, text: &str, expect: bool| {
            for size in 1..=text.len() {
                let mut body = Short { body: (), is_watch, limit: 4, taken: 0 };
                let all = text.as_bytes().chunks(size).all(|piece| body.take(piece));
                assert_eq!(all, expect, "{text} by {size}");
            }
        };
        check(true, "abcd\nabcd\n\nabcd", true);
        check(true, "abcd\nabcde\n", false);
        check(true, "abcde\n", false);
        check(true, "a\nabcde", false);
        check(false, "a\nb", true);
        check(false, "a\nb\nc", false);
    }
}
