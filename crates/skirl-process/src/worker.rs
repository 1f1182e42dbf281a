//! The worker's end: builds what it is told to, then answers requests one after the other until the other end is closed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde_json::Value;
use skirl::algorithm::{EnvRange, RangeOrder};
use skirl::callbacks::{CallbackError, CallbackList};
use skirl::collect::vector_runner::{BlockMemory, RunnerState};
use skirl::config;
use skirl_env::VectorEnv;
use skirl_env::wrappers::VectorWrapper;
use skirl_math::rng::StreamKey;

use crate::frame::{self, FrameError};
use crate::handover;
use crate::layout::Layout;
use crate::memory::{Progress, SharedMemory};
use crate::message::{
    Build, HookFailure, Reply, Request, RunPlace, pack_moments, pack_state, unpack_moments, unpack_state,
};
use crate::rows::{self, Rows};
use crate::spread::Spread;
use crate::tables::OpenTable;
use crate::watched::Watched;

/// The program around a worker: it knows what environments are made of.
pub trait Host {
    /// Called before environments are built, with the bytes that came with the order: registers their constructors.
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn prepare(&mut self, build: &Build, constructors: &[u8]) -> Result<(), String>;

    /// Callbacks of the run that watch environments or episodes, made anew for this process after [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// Why there are none, in words.
    fn callbacks(&mut self) -> Result<CallbackList, String> {
        Ok(CallbackList::new())
    }

    /// What callbacks logged since the last call, for the same callbacks of the process that trains.
    fn take_logged(&mut self) -> String {
        String::new()
    }

    /// Calls a function that the other process sent with environment `env` of these, and gives what it returns.
    ///
    /// # Errors
    /// What it raised, in words; a host without functions.
    fn call(&mut self, _envs: &mut dyn VectorEnv, _env: usize, _function: &[u8]) -> Result<Value, String> {
        Err("functions cannot be called here".to_owned())
    }

    /// What a hook raised in words, with all that the host knows of where it came from.
    fn explain_hook(&self, error: &CallbackError) -> String {
        error.source.to_string()
    }

    /// An error in words, with all that the host knows of where it came from.
    fn explain(&self, error: &skirl::Error) -> String {
        error.to_string()
    }
}

/// Serves until the other process is gone or says stop.
///
/// # Errors
/// A connection that speaks something else.
pub fn serve(mut socket: UnixStream, memory: File, host: &mut dyn Host) -> Result<(), FrameError> {
    end_with_parent(&socket)?;
    let progress = Arc::new(Progress::of(&memory)?);
    let mut worker = Worker {
        memory: SharedMemory::map(memory, 0)?,
        tables: BTreeMap::new(),
        progress,
        range: None,
        spread: None,
    };
    loop {
        let frame = match frame::receive(&mut socket, &mut || true) {
            Err(FrameError::Closed) => return Ok(()),
            other => other?,
        };
        let request = serde_json::from_slice(&frame.header)
            .map_err(|error| FrameError::Malformed(error.to_string()))?;
        if matches!(request, Request::Stop) {
            return Ok(());
        }
        worker.progress.answer(frame.number);
        let answered = match request {
            Request::TakeTable(table) => worker.take_table(table, handover::receive(&socket)?),
            request => worker.answer(request, &frame.bytes, host),
        };
        let (reply, bytes) =
            answered.unwrap_or_else(|Fault { message, hook }| (Reply::Failed { message, hook }, Vec::new()));
        let header = serde_json::to_vec(&reply).map_err(|error| FrameError::Malformed(error.to_string()))?;
        match frame::send(&mut socket, frame.number, &header, &bytes) {
            Err(FrameError::Closed) => return Ok(()),
            other => other?,
        }
    }
}

struct Worker {
    memory: SharedMemory,
    /// Tables of all workers, by their number.
    tables: BTreeMap<u64, Box<dyn BlockMemory>>,
    progress: Arc<Progress>,
    range: Option<EnvRange>,
    spread: Option<Spread>,
}

type Answer = Result<(Reply, Vec<u8>), Fault>;

/// Why something could not be done.
struct Fault {
    message: String,
    hook: Option<Box<HookFailure>>,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, hook: None }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl Fault {
    fn of(error: &skirl::Error, host: &dyn Host) -> Self {
        let message = host.explain(error);
        match error {
            skirl::Error::Callback(failed) => {
                let hook = Some(Box::new(HookFailure::of(failed, host.explain_hook(failed))));
                Self { message, hook }
            }
            _ => message.into(),
        }
    }
}

fn done() -> (Reply, Vec<u8>) {
    (Reply::Done, Vec::new())
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Worker {
    fn answer(&mut self, request: Request, bytes: &[u8], host: &mut dyn Host) -> Answer {
        match request {
            Request::Build(build) => {
                host.prepare(&build, bytes)?;
                self.build(&build, host)
            }
            Request::Begin { place, seeds, episodes, call_hooks } => {
                let range = self.at(place, bytes)?;
                range.runner.set_episodes(episodes);
                range.begin(StreamKey(seeds), call_hooks).map_err(|error| Fault::of(&error, host))?;
                // Of resets: no rollout saw them.
                range.runner.take_seen();
                let episodes = range.runner.episodes().to_vec();
                Ok((Reply::Begun { episodes, logged: host.take_logged() }, Vec::new()))
            }
            Request::Sample { place, steps, explore, version, layout, table, tables } => {
                self.tables.retain(|id, _| tables.contains(id));
                self.sample(place, bytes, (steps, explore, version), (&layout, table), host)
            }
            Request::Deliver { layout } => self.deliver(&layout, host),
            Request::SaveState => self.save_state(host),
            Request::RestoreState { place, episodes, columns } => {
                let (env, current) = unpack_state(&columns, bytes).ok_or("a state that is none")?;
                let range = self.at(place, &[])?;
                let state =
                    RunnerState { env: Some(env), env_saved: true, steps: place.steps, current, episodes };
                range.restore_state(state).map_err(say)?;
                range.runner.take_seen();
                Ok(done())
            }
            Request::SetTask { env, task } => {
                self.range()?.runner.env_mut().set_task(env, &task).map_err(say)?;
                Ok(done())
            }
            Request::GetTask { env } => {
                let task = self.range()?.runner.env_mut().get_task(env).map_err(say)?;
                Ok((Reply::Task(task), Vec::new()))
            }
            Request::Call { env } => {
                let watched = self.range()?.runner.env_mut() as &mut dyn std::any::Any;
                let watched = watched.downcast_mut::<Watched>().ok_or("nothing was built")?;
                let envs = watched.inner_mut();
                let before = envs.get_task(env).ok();
                let returned = host.call(envs, env, bytes)?;
                let task = envs.get_task(env).ok().filter(|task| Some(task) != before.as_ref());
                Ok((Reply::Returned(returned, task), Vec::new()))
            }
            // The loop has answered these.
            Request::TakeTable(_) | Request::Stop => Ok(done()),
        }
    }

    fn range(&mut self) -> Result<&mut EnvRange, Fault> {
        self.range.as_mut().ok_or_else(|| "nothing was built".into())
    }

    /// The range at a place of the run, with these statistics of observations.
    fn at(&mut self, place: RunPlace, statistics: &[u8]) -> Result<&mut EnvRange, Fault> {
        let range = self.range()?;
        range.runner.go_on_at(StreamKey(place.explore), place.steps, place.ids());
        if let Some(normalizer) = range.normalizer.as_mut().filter(|_| !statistics.is_empty()) {
            let moments = unpack_moments(statistics, range.policy.obs_width());
            let moments = moments.and_then(|mut all| all.pop()).ok_or("statistics of another width")?;
            normalizer.set_moments(moments);
        }
        Ok(range)
    }

    fn build(&mut self, build: &Build, host: &mut dyn Host) -> Answer {
        let config = config::from_value(&build.config).map_err(say)?;
        let callbacks = host.callbacks()?;
        let progress = Arc::clone(&self.progress);
        let watch = |envs| -> Box<dyn VectorEnv> { Box::new(Watched::new(envs, progress)) };
        let order = RangeOrder {
            config: &*config,
            env: &build.env,
            env_config: &build.env_config,
            first_env: build.first_env,
            num_envs: build.num_envs,
            in_evaluation: build.in_evaluation,
            callbacks: &callbacks,
        };
        let range = EnvRange::build(order, watch);
        let range = range.map_err(|error| Fault::of(&error, host))?;
        let policy = &range.policy;
        let layout = Layout {
            weights: policy.net.params().values().len(),
            rows: 0,
            ends: 0,
            obs_width: policy.obs_width(),
            dist_width: policy.dist.num_inputs(),
            action_width: policy.dist.action_width(),
            discrete: policy.dist.is_discrete(),
            obs_elsewhere: false,
        };
        let reply = Reply::Built {
            observation: range.spaces.observation.to_json(),
            action: range.spaces.action.to_json(),
            layout,
        };
        self.range = Some(range);
        self.spread = Some(Spread::new(build.runner, build.num_runners));
        Ok((reply, Vec::new()))
    }

    fn sample(
        &mut self,
        place: RunPlace,
        statistics: &[u8],
        (steps, explore, version): (usize, bool, u64),
        (layout, table): (&Layout, Option<u64>),
        host: &mut dyn Host,
    ) -> Answer {
        self.spread.iter().for_each(Spread::go);
        self.memory.follow(layout.len().ok_or("absurd sizes")?).map_err(say)?;
        self.at(place, statistics)?;
        let weights = layout.weights(&self.memory).ok_or("no room for the weights")?;
        let range = self.range.as_mut().ok_or("nothing was built")?;
        range.set_weights(weights, version);
        range.runner.take_finished();
        host.take_logged();
        let rows = table.map(|id| self.tables.remove(&id).ok_or("a table that was not handed over"));
        range.runner.write_to(rows.transpose()?);
        let sampled = range.sample(steps, explore);
        // Whatever came of it, nothing is written to the table after the reply.
        self.tables.extend(table.zip(range.runner.write_to(None)));
        sampled.map_err(|error| Fault::of(&error, host))?;
        self.deliver(layout, host)
    }

    fn take_table(&mut self, table: OpenTable, file: File) -> Answer {
        let runner = &self.range()?.runner;
        let place = rows::Place {
            steps: table.steps,
            num_envs: table.num_envs,
            width: runner.table().obs_width,
            first_env: runner.first_env(),
            range_envs: runner.num_envs(),
        };
        let rows = Rows::map(file, place).map_err(say)?;
        self.tables.insert(table.id, Box::new(rows));
        Ok(done())
    }

    fn deliver(&mut self, layout: &Layout, host: &mut dyn Host) -> Answer {
        self.memory.follow(layout.len().ok_or("absurd sizes")?).map_err(say)?;
        let Self { memory, range, .. } = self;
        let range = range.as_mut().ok_or("nothing was built")?;
        let ends = range.runner.table().ends.len();
        if ends > layout.ends {
            return Ok((Reply::MoreRoom { ends }, Vec::new()));
        }
        layout.write(memory, range.runner.table()).ok_or("a rollout of other sizes")?;
        let reply = Reply::Sampled {
            ends,
            steps: range.runner.steps(),
            episodes: range.runner.episodes().to_vec(),
            finished: range.runner.take_finished(),
            logged: host.take_logged(),
        };
        let seen = range.runner.take_seen();
        let seen = if range.normalizer.is_some() { pack_moments(&seen) } else { Vec::new() };
        Ok((reply, seen))
    }

    fn save_state(&mut self, host: &dyn Host) -> Answer {
        let state = self.range()?.save_state().map_err(|error| Fault::of(&error, host))?;
        let (columns, bytes) = pack_state(state.env.as_ref(), &state.current);
        let (saved, steps, episodes) = (state.env.is_some(), state.steps, state.episodes);
        Ok((Reply::State { saved, columns, steps, episodes }, bytes))
    }
}

/// Ends this process as soon as the other one is gone, also while an environment hangs: a thread of its own waits for the
/// socket to be closed, everywhere; on Linux the kernel does so as well, also if a copy of the socket lives on elsewhere.
fn end_with_parent(socket: &UnixStream) -> Result<(), FrameError> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
    let watched = socket.try_clone()?;
    let watch = move || {
        let mut fds = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::empty())];
        loop {
            let polled = rustix::event::poll(&mut fds, None);
            let gone = rustix::event::PollFlags::HUP | rustix::event::PollFlags::ERR;
            if polled.is_ok() && fds[0].revents().intersects(gone) {
                break;
            }
        }
        // The main thread ends by itself if it can; nothing else in this process may keep it.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    };
    std::thread::Builder::new().name("skirl-watch".to_owned()).spawn(watch)?;
    Ok(())
}
