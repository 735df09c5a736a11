"""Learnt depth: a small network that reads likelihoods, trained for one camera on pictures it makes itself.

capture [C, H, W] -> volumes.py: likelihood of each plane under several priors -> network.py: psi and its scale.
pictures.py composes scenes, training.py photographs them through the bank and trains. No photograph of anybody's and no
true depth of a real scene is needed; the weights belong to one bank, whose fingerprint stands on their card.
"""
