use skirl::run::{Flow, Run};
fn main() {
    let file = std::env::args().nth(1).unwrap();
    let seed: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut config = skirl::config::load_file(std::path::Path::new(&file)).unwrap();
    let _ = text;
    config.common_mut().debugging.seed = Some(seed);
    if let Some(n) = std::env::args().nth(3) { config.common_mut().resources.num_threads = n.parse().unwrap(); }
    let t = std::time::Instant::now();
    let dir = std::env::temp_dir().join(format!("skirl-tmp-{}", std::process::id()));
    let mut run = Run::create(config, Some(&dir)).unwrap();
    println!("{}", run.algorithm().plan());
    println!("{}", run.algorithm().pipeline());
    let mut first = None;
    let summary = run.train_until_stop(&mut |r| {
        if first.is_none() { first = Some(t.elapsed()); }
        if std::env::args().nth(4).is_some() { println!("{:?} {:?} {:?}", r.get("training_iteration"), r.get("env_runners/episode_return_mean"), r.get("timers/learner_update_timer")); }
        Flow::Continue }).unwrap();
    println!("{} first {:?} total {:?} env_steps {}", summary.reason, first, t.elapsed(), run.algorithm().env_steps());
    let e = run.algorithm_mut().evaluate(&skirl::algorithm::EvaluateRequest { episodes: Some(100), ..Default::default() }).unwrap();
    println!("eval {:?}", e.return_mean());
    println!("{}", serde_json::to_string_pretty(&summary.result.as_value()).unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}
