"""The helpful MCP server behind a login, and the authorization server that goes with it: `python mcp_oauth.py SECONDS`
prints its port. A token is good for SECONDS. Whoever opens the login page is logged in at once; with `&no` refused.
"""

import contextlib
import json
import socket
import sys
from urllib.parse import parse_qs, urlencode

import mcp_server
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount, Route

listening = socket.create_server(("127.0.0.1", 0))
BASE = f"http://127.0.0.1:{listening.getsockname()[1]}"
SECONDS = int(sys.argv[1])
made = {"tokens": 0, "clients": 0}
good = set()


async def resource(_request):
    return JSONResponse({"resource": f"{BASE}/mcp", "authorization_servers": [BASE]})


async def places(_request):
    return JSONResponse(
        {
            "issuer": BASE,
            "authorization_endpoint": f"{BASE}/login",
            "token_endpoint": f"{BASE}/exchange",
            "registration_endpoint": f"{BASE}/register",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def register(request):
    made["clients"] += 1
    asked = await request.json()
    mine = {"client_id": f"client-{made['clients']}", "token_endpoint_auth_method": "none"}
    return JSONResponse({**asked, **mine}, status_code=201)


async def login(request):
    query = dict(request.query_params)
    if "no" in query:
        return RedirectResponse(f"{query['redirect_uri']}?error=access_denied&state={query['state']}")
    return RedirectResponse(f"{query['redirect_uri']}?{urlencode({'code': 'c-1', 'state': query['state']})}")


async def exchange(request):
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    if form.get("code") != "c-1" and form.get("refresh_token") != "renew":
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    made["tokens"] += 1
    token = f"token-{made['tokens']}"
    good.clear()
    good.add(f"Bearer {token}")
    return JSONResponse(
        {"access_token": token, "token_type": "Bearer", "expires_in": SECONDS, "refresh_token": "renew"}
    )


async def counts(_request):
    return JSONResponse(made)


inner = mcp_server.server.streamable_http_app()


async def guarded(scope, receive, send):
    headers = {name.decode(): value.decode() for name, value in scope.get("headers", ())}
    if scope["type"] == "http" and headers.get("authorization") not in good:
        asks = f'Bearer resource_metadata="{BASE}/.well-known/oauth-protected-resource"'
        refused = JSONResponse({"error": "invalid_token"}, status_code=401, headers={"WWW-Authenticate": asks})
        await refused(scope, receive, send)
    else:
        await inner({**scope, "path": "/mcp", "root_path": ""}, receive, send)


@contextlib.asynccontextmanager
async def lifespan(_app):
    async with inner.router.lifespan_context(inner):
        yield


app = Starlette(
    routes=[
        Route("/.well-known/oauth-protected-resource", resource),
        Route("/.well-known/oauth-protected-resource/mcp", resource),
        Route("/.well-known/oauth-authorization-server", places),
        Route("/register", register, methods=["POST"]),
        Route("/login", login),
        Route("/exchange", exchange, methods=["POST"]),
        Route("/counts", counts),
        Mount("/mcp", guarded),
        Mount("/", guarded),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    print(json.dumps(listening.getsockname()[1]), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])
