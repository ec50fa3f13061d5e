// The requests of the comparison, answered with the stack that the architecture was first written for: Hono, zod and jose,
// on Node's own server and with pg instead of the edge's. The statements are those of the service, named so that they are
// prepared once. With CACHE=on single scores and pages are kept in a Map, and a write empties what it touches.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { jwtVerify } from 'jose'
import pg from 'pg'
import { z } from 'zod'

pg.types.setTypeParser(20, Number)
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })
const secret = new TextEncoder().encode(process.env.JWT_SECRET)
const cache = process.env.CACHE === 'on' ? new Map() : null
const columns = 'id, owner_id, title, composer, tags, metadata, status, visibility, version, created_at, updated_at'
const cards = 'score_id, owner_id, title, composer, tags, status, visibility, version, created_at, updated_at, favorite_count, categories'
const part = (where) => `(select ${cards} from score_cards where ${where} order by created_at desc, score_id desc limit $2)`
const statements = {
  find: `select ${columns} from scores where id = $1`,
  list: `select ${cards} from (${part('owner_id = $1')} union all ${part("visibility = 'public' and owner_id <> $1")}) part
    order by created_at desc, score_id desc limit $2`,
  count: `select (select count(*) from score_cards where owner_id = $1) +
    (select count(*) from score_cards where visibility = 'public' and owner_id <> $1) as total`,
  insert: `insert into scores (id, owner_id, title, visibility) values (gen_random_uuid(), $1, $2, $3) returning ${columns}`,
  update: `update scores set title = $3, version = version + 1, updated_at = now() where id = $1 and owner_id = $2 returning ${columns}`,
}
const run = async (name, values) => (await pool.query({ name, text: statements[name], values })).rows

const common = (r) => ({
  ownerId: r.owner_id, title: r.title, composer: r.composer, tags: r.tags, status: r.status, visibility: r.visibility,
  version: r.version, createdAt: r.created_at, updatedAt: r.updated_at,
})
const score = (r) => ({ id: r.id, ...common(r), metadata: r.metadata })
const card = (r) => ({ id: r.score_id, ...common(r), favoriteCount: r.favorite_count, categories: r.categories })

const create = z.object({ title: z.string().min(1).max(255), visibility: z.enum(['private', 'unlisted', 'public']) })
const change = z.object({ title: z.string().min(1).max(255) })
const id = z.uuid()

const app = new Hono()
app.use('/api/*', async (c, next) => {
  try {
    const { payload } = await jwtVerify((c.req.header('Authorization') ?? '').replace(/^Bearer /, ''), secret, { algorithms: ['HS256'] })
    c.set('user', payload.sub)
  } catch {
    return c.json({ success: false, code: 'AUTHENTICATION_ERROR' }, 401)
  }
  await next()
})

// cached returns what is kept under the key, or what load finds.
const cached = async (key, load) => {
  if (!cache) return load()
  let value = cache.get(key)
  if (value === undefined) {
    value = await load()
    if (value) cache.set(key, value)
  }
  return value
}
const forget = (key) => {
  if (!cache) return
  cache.delete(key)
  for (const k of cache.keys()) if (k.startsWith('list:')) cache.delete(k)
}

app.get('/api/scores/:id', async (c) => {
  const key = c.req.param('id')
  if (!id.safeParse(key).success) return c.json({ success: false, code: 'VALIDATION_ERROR' }, 400)
  const found = await cached(key, async () => { const [row] = await run('find', [key]); return row && score(row) })
  if (!found || (found.visibility === 'private' && found.ownerId !== c.get('user'))) return c.json({ success: false, code: 'NOT_FOUND' }, 404)
  return c.json({ success: true, data: found })
})
app.get('/api/scores', async (c) => {
  const limit = z.coerce.number().int().min(1).max(100).default(20).parse(c.req.query('limit'))
  const user = c.get('user')
  const page = await cached(`list:${user}:${limit}`, async () => {
    const data = (await run('list', [user, limit])).map(card)
    const [{ total }] = await run('count', [user])
    return { success: true, data, pagination: { page: 1, limit, total } }
  })
  return c.json(page)
})
app.post('/api/scores', async (c) => {
  const given = create.parse(await c.req.json())
  const [row] = await run('insert', [c.get('user'), given.title, given.visibility])
  forget(row.id)
  return c.json({ success: true, data: score(row) }, 201)
})
app.put('/api/scores/:id', async (c) => {
  const given = change.parse(await c.req.json())
  const [row] = await run('update', [c.req.param('id'), c.get('user'), given.title])
  if (!row) return c.json({ success: false, code: 'NOT_FOUND' }, 404)
  forget(row.id)
  return c.json({ success: true, data: score(row) })
})

const [hostname, port] = process.env.API_ADDR.split(':')
serve({ fetch: app.fetch, hostname, port: Number(port) })
