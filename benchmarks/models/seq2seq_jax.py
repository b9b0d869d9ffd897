"""The Seq2Seq of seq2seq.py for JAX: arrays and pure functions, which one call of `jit` compiles
with gradients, clipping and Adam. Needs jax and optax."""

import jax
import jax.numpy as jnp
import optax

from benchmarks.models import sentences

PAD = 0


def parameters(V, H):
    keys = iter(jax.random.split(jax.random.key(0), 20))

    def uniform(*shape, inputs=H):
        return jax.random.uniform(next(keys), shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)

    def gru(width):
        return {
            "i": uniform(width, 3 * H),
            "h": uniform(H, 3 * H),
            "bi": uniform(3 * H),
            "bh": uniform(3 * H),
        }

    return {
        "source": jax.random.normal(next(keys), (V, H)).at[PAD].set(0),
        "target": jax.random.normal(next(keys), (V, H)).at[PAD].set(0),
        "encoder": gru(H),
        "decoder": gru(2 * H),
        "out": uniform(2 * H, V, inputs=2 * H),
        "bias": uniform(V, inputs=2 * H),
    }


def lookup(table, index):
    rows, padding = table[index], (index == PAD)[..., None]
    return jnp.where(padding, jax.lax.stop_gradient(rows), rows)


def cell(w, h, gx):
    """A step of the GRU: h (B, H), gx (B, 3H) what the input gives to the gates."""
    H = h.shape[1]
    gh = h @ w["h"] + w["bh"]
    r, z = jnp.split(jax.nn.sigmoid(gx[:, : 2 * H] + gh[:, : 2 * H]), 2, axis=1)
    n = jnp.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
    return (1 - z) * n + z * h


def loss_of(p, source, target):
    """source, target (T, B)."""
    B, H = source.shape[1], p["encoder"]["h"].shape[0]
    gx = lookup(p["source"], source) @ p["encoder"]["i"] + p["encoder"]["bi"]

    def encode(h, gx):
        h = cell(p["encoder"], h, gx)
        return h, h

    hidden, outputs = jax.lax.scan(encode, jnp.zeros((B, H)), gx)
    memory = outputs.transpose(1, 0, 2)
    padding = (source == PAD).T
    w = p["decoder"]
    gx = lookup(p["target"], target) @ w["i"][:H] + w["bi"]

    def decode(h, gx):
        scores = jnp.where(padding, -jnp.inf, jnp.einsum("bh,bth->bt", h, memory))
        context = jnp.einsum("bt,bth->bh", jax.nn.softmax(scores), memory)
        h = cell(w, h, gx + context @ w["i"][H:])
        return h, jnp.concatenate([h, context], 1)

    _, states = jax.lax.scan(decode, hidden, gx)
    logits = states @ p["out"] + p["bias"]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, target)
    kept = target != PAD
    return (losses * kept).sum() / kept.sum()


def training_step(B, T, H, V):
    """Forward, backward, clipping to 1 and Adam, over the batch of seq2seq.py."""
    source, target = (jnp.asarray(tokens) for tokens in sentences(B, T, V))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def step(p, state):
        loss, gradients = jax.value_and_grad(loss_of)(p, source, target)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(p, updates), state, loss

    compiled = jax.jit(step, donate_argnums=(0, 1))
    now = [parameters(V, H)]
    now.append(optimizer.init(now[0]))

    def call():
        *now[:], loss = compiled(*now)
        return loss.block_until_ready()

    return call
