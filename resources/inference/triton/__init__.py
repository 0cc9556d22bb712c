"""The engine of production: NVIDIA's Triton Inference Server over gRPC or HTTP, on the same repository."""
