//! What the frontier's stores cost. The first word chooses: `redis` (see `redis.rs`), else the embedded store
//! (`embedded.rs`). Neither fetches anything: hosts are claimed, made-up pages settled, leases released.

mod embedded;
mod redis;
mod spent;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match words.split_first() {
        Some((first, rest)) if first == "redis" => redis::run(rest),
        _ => embedded::run(&words),
    }
}
