// PPO on Pendulum with RLtools (https://rl.tools), timed under the protocol of benches/peers.
//
// Written against the public headers of the `rltools` package, built by build_rltools.sh. Compile-time switches:
//   SHIPPED          RLtools' own Pendulum settings (4 environments x 1024 steps, 2 epochs, ReLU) instead of the
//                    common protocol (8 x 256, 4 epochs, tanh)
//   ACTIVATION=NAME  FAST_TANH (the common protocol's default), TANH or RELU
//   COUNT_SGEMM      the build wraps cblas_sgemm, so that the run can prove that the BLAS did the work
//   OPENBLAS         hands the same products to the OpenBLAS that numpy ships: on processors that are not Intel's, MKL
//                    keeps to its AVX2 kernels, and OpenBLAS may be the faster of the two
//
// Command line: [--steps N] [--solve] [--seed S]. Prints one JSON line.

#include <rl_tools/operations/cpu_mux.h>

#include <rl_tools/nn/optimizers/adam/instance/operations_generic.h>
// Without this line every matrix product silently runs as a plain loop, about 12 times slower, even in a build
// with MKL enabled. It must come before the layers.
#include <rl_tools/nn/operations_cpu_mux.h>

#include <rl_tools/nn/layers/standardize/operations_generic.h>
#include <rl_tools/nn_models/mlp_unconditional_stddev/operations_generic.h>
#include <rl_tools/nn_models/sequential/operations_generic.h>
#include <rl_tools/nn/optimizers/adam/operations_generic.h>
#include <rl_tools/rl/environments/pendulum/operations_generic.h>

#include <rl_tools/rl/algorithms/ppo/loop/core/config.h>
#include <rl_tools/rl/algorithms/ppo/loop/core/operations_generic.h>
#include <rl_tools/rl/environments/operations_generic.h>
#include <rl_tools/rl/utils/evaluation/operations_generic.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <unistd.h>

#ifndef ACTIVATION
#ifdef SHIPPED
#define ACTIVATION RELU
#else
#define ACTIVATION FAST_TANH
#endif
#endif
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

namespace rlt = rl_tools;

static std::uint64_t sgemm_calls = 0;
#ifdef COUNT_SGEMM
#ifdef OPENBLAS
#define REAL_SGEMM scipy_cblas_sgemm64_ // numpy's build: 64-bit integers, like MKL's ilp64
#define BLAS_NAME "openblas"
#else
#define REAL_SGEMM __real_cblas_sgemm
#define BLAS_NAME "mkl"
#endif
// The linker's --wrap sends every call of cblas_sgemm here.
extern "C" void REAL_SGEMM(const CBLAS_LAYOUT, const CBLAS_TRANSPOSE, const CBLAS_TRANSPOSE, const MKL_INT, const MKL_INT,
                                   const MKL_INT, const float, const float*, const MKL_INT, const float*, const MKL_INT,
                                   const float, float*, const MKL_INT);
extern "C" void __wrap_cblas_sgemm(const CBLAS_LAYOUT layout, const CBLAS_TRANSPOSE ta, const CBLAS_TRANSPOSE tb, const MKL_INT m,
                                   const MKL_INT n, const MKL_INT k, const float alpha, const float* a, const MKL_INT lda,
                                   const float* b, const MKL_INT ldb, const float beta, float* c, const MKL_INT ldc) {
    sgemm_calls++;
    REAL_SGEMM(layout, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
#else
#define BLAS_NAME "none"
#endif

using DEVICE = rlt::devices::DEVICE_FACTORY<>;
using T = float;
using TYPE_POLICY = rlt::numeric_types::Policy<T>;
using TI = typename DEVICE::index_t;
using RNG = typename DEVICE::SPEC::RANDOM::template ENGINE<>;
using ENVIRONMENT = rlt::rl::environments::Pendulum<
    rlt::rl::environments::pendulum::Specification<T, TI, rlt::rl::environments::pendulum::DefaultParameters<T>>>;

struct Parameters : rlt::rl::algorithms::ppo::loop::core::DefaultParameters<TYPE_POLICY, TI, ENVIRONMENT> {
    static constexpr TI STEP_LIMIT = 1u << 30; // our own loop decides when to stop
    static constexpr TI EPISODE_STEP_LIMIT = 200;
    static constexpr TI BATCH_SIZE = 256; // the minibatch
    static constexpr TI ACTOR_HIDDEN_DIM = 64;
    static constexpr TI CRITIC_HIDDEN_DIM = 64;
    static constexpr TI ACTOR_NUM_LAYERS = 3; // two hidden layers and the output
    static constexpr TI CRITIC_NUM_LAYERS = 3;
    static constexpr auto ACTOR_ACTIVATION_FUNCTION = rlt::nn::activation_functions::ActivationFunction::ACTIVATION;
    static constexpr auto CRITIC_ACTIVATION_FUNCTION = ACTOR_ACTIVATION_FUNCTION;
#ifdef SHIPPED
    static constexpr TI N_ENVIRONMENTS = 4;
    static constexpr TI ON_POLICY_RUNNER_STEPS_PER_ENV = 1024;
    static constexpr TI EPOCHS = 2;
#else
    static constexpr TI N_ENVIRONMENTS = 8;
    static constexpr TI ON_POLICY_RUNNER_STEPS_PER_ENV = 256;
    static constexpr TI EPOCHS = 4;
#endif
    static constexpr TI DATASET_SIZE = ON_POLICY_RUNNER_STEPS_PER_ENV * N_ENVIRONMENTS;
    // lr 1e-3, betas 0.9 and 0.999, constant
    using OPTIMIZER_PARAMETERS = rlt::nn::optimizers::adam::DEFAULT_PARAMETERS_PYTORCH<TYPE_POLICY>;
    struct PPO_PARAMETERS : rlt::rl::algorithms::ppo::DefaultParameters<TYPE_POLICY, TI, BATCH_SIZE> {
        static constexpr T GAMMA = 0.9;
        static constexpr T LAMBDA = 0.95;
        static constexpr T EPSILON_CLIP = 0.2;
        static constexpr T ACTION_ENTROPY_COEFFICIENT = 0;
        static constexpr T INITIAL_ACTION_STD = 2;
        static constexpr TI N_EPOCHS = EPOCHS;
    };
};

using CORE = rlt::rl::algorithms::ppo::loop::core::Config<TYPE_POLICY, TI, RNG, ENVIRONMENT, Parameters,
                                                          rlt::rl::algorithms::ppo::loop::core::ConfigApproximatorsSequential>;

using STATE = typename CORE::template State<CORE>;

static constexpr TI EVALUATION_EPISODES = 100;
static constexpr TI EVALUATION_INTERVAL = 10; // iterations
static constexpr T SOLVED_RETURN = -200;
using EVALUATION = rlt::rl::utils::evaluation::Specification<TYPE_POLICY, TI, ENVIRONMENT, EVALUATION_EPISODES,
                                                             Parameters::EPISODE_STEP_LIMIT>;

struct Options {
    TI steps = 300000;
    TI seed = 0;
    bool solve = false;
};

struct Outcome {
    TI env_steps = 0;
    double wall = 0, cpu = 0;
    std::uint64_t sgemm_calls = 0;
    T last_return = 0;
    bool solved = false;
};

static double wall_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double cpu_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

static Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--solve") == 0) {
            options.solve = true;
        } else if (std::strcmp(argv[i], "--steps") == 0 && has_value) {
            options.steps = std::strtoull(argv[++i], nullptr, 10);
        } else if (std::strcmp(argv[i], "--seed") == 0 && has_value) {
            options.seed = std::strtoull(argv[++i], nullptr, 10);
        } else {
            std::fprintf(stderr, "unknown or incomplete option %s; expected [--steps N] [--solve] [--seed S]\n", argv[i]);
            std::exit(2);
        }
    }
    return options;
}

// Mean return of 100 episodes with the mean action, from fresh starting states.
static T greedy_return(DEVICE& device, STATE& state, RNG& rng) {
    static rlt::rl::utils::evaluation::Result<EVALUATION> result;
    auto actor = rlt::get_actor(state); // copies handles, not parameters
    rlt::evaluate(device, state.envs[0], state.ui, actor, result, rng, rlt::Mode<rlt::mode::Evaluation<>>{});
    return result.returns_mean;
}

// Trains for options.steps, or with options.solve until the greedy return reaches -200; the evaluations count.
static Outcome train(const Options& options) {
    DEVICE device;
    static STATE state;
    RNG evaluation_rng;
    const double wall_start = wall_now(), cpu_start = cpu_now();
    rlt::malloc(device, state);
    rlt::init(device, state, options.seed);
    rlt::malloc(device, evaluation_rng);
    rlt::init(device, evaluation_rng, options.seed + 1);
    Outcome outcome;
    for (TI iteration = 1; outcome.env_steps < options.steps && !outcome.solved; iteration++) {
        rlt::step(device, state);
        outcome.env_steps += Parameters::DATASET_SIZE;
        if (options.solve && iteration % EVALUATION_INTERVAL == 0) {
            outcome.last_return = greedy_return(device, state, evaluation_rng);
            outcome.solved = outcome.last_return >= SOLVED_RETURN;
        }
    }
    outcome.wall = wall_now() - wall_start;
    outcome.cpu = cpu_now() - cpu_start;
    outcome.sgemm_calls = sgemm_calls;
    if (!options.solve) outcome.last_return = greedy_return(device, state, evaluation_rng); // after the clock
    return outcome;
}

#ifdef OPENBLAS
// OpenBLAS reads its settings when it is loaded, before main: set them and start over. One thread; and kernels of its
// own choice, whatever this shell's environment may say.
static void restart_with_one_openblas_thread(char** argv) {
    if (std::getenv("RLTOOLS_RESTARTED") != nullptr) return;
    setenv("RLTOOLS_RESTARTED", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    unsetenv("OPENBLAS_CORETYPE");
    unsetenv("OPENBLAS_L2_SIZE");
    execv("/proc/self/exe", argv);
    std::perror("cannot restart");
    std::exit(1);
}
#endif

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
#ifdef OPENBLAS
    restart_with_one_openblas_thread(argv);
#endif
    const Outcome outcome = train(options);
    // One critic and one actor update for every minibatch, each with at least one product forward and one back.
    const TI updates = outcome.env_steps / Parameters::BATCH_SIZE * Parameters::EPOCHS;
#ifdef COUNT_SGEMM
    if (outcome.sgemm_calls < 4 * updates) {
        std::fprintf(stderr, "the BLAS did not do the work: %llu calls of cblas_sgemm for %llu updates\n",
                     static_cast<unsigned long long>(outcome.sgemm_calls), static_cast<unsigned long long>(updates));
        return 1;
    }
#endif
    const std::string solved_steps = outcome.solved ? std::to_string(outcome.env_steps) : "null";
    const std::string solved_wall = outcome.solved ? std::to_string(outcome.wall) : "null";
#ifdef SHIPPED
    const char* protocol = "shipped";
#else
    const char* protocol = "common";
#endif
    std::printf("{\"peer\": \"rltools\", \"task\": \"ppo_pendulum\", \"protocol\": \"%s\", \"activation\": \"%s\", "
                "\"blas\": \"" BLAS_NAME "\", \"threads\": 1, \"env_steps\": %llu, \"wall_s\": %.4f, \"cpu_s\": %.4f, \"steps_per_s\": %.1f, "
                "\"steps_per_cpu_s\": %.1f, \"solved_at_steps\": %s, \"solved_at_wall_s\": %s, \"seed\": %llu, "
                "\"greedy_return\": %.2f, \"sgemm_calls_per_update\": %.2f}\n",
                protocol, STRINGIFY(ACTIVATION), static_cast<unsigned long long>(outcome.env_steps), outcome.wall,
                outcome.cpu, outcome.env_steps / outcome.wall, outcome.env_steps / outcome.cpu, solved_steps.c_str(),
                solved_wall.c_str(), static_cast<unsigned long long>(options.seed), outcome.last_return,
                static_cast<double>(outcome.sgemm_calls) / updates);
    return 0;
}
